/** Turns a folder of TypeScript into JavaScript for tests that run processes of their own: Node 20 runs no TypeScript, and `dist` may be stale. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import typescript from 'typescript';

/** Writes every source below `source`, except tests and generated types, into `target` as JavaScript, without checking types. */
export function transpileFolder(source: string, target: string): void {
  for (const path of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.ts') || path.endsWith('.test.ts') || path.startsWith('generated')) continue;
    const { outputText } = typescript.transpileModule(readFileSync(join(source, path), 'utf8'), {
      fileName: path,
      compilerOptions: {
        target: typescript.ScriptTarget.ES2022,
        module: typescript.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
        rewriteRelativeImportExtensions: true,
      },
    });
    const output = join(target, path.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(output), { recursive: true });
    writeFileSync(output, outputText);
  }
}
