/** Packages that an export uses where they are installed. */
import { createRequire } from 'node:module';

/** A package that need not be there, with its version; null where it is not. */
export async function importOptional<Module>(
  name: string,
  load: () => Promise<Module>,
): Promise<{ readonly module: Module; readonly version: string } | null> {
  try {
    return { module: await load(), version: versionOf(name) };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') return null;
    throw error;
  }
}

/** Of an installed package; looked for from its main file upwards, since `exports` may hide its package.json. */
function versionOf(specifier: string): string {
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const require = createRequire(import.meta.url);
  for (const folder of require.resolve.paths(name) ?? []) {
    try {
      const manifest: unknown = require(`${folder}/${name}/package.json`);
      const isManifest = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
      if (isManifest && typeof manifest.version === 'string') return manifest.version;
    } catch {
      // Not in this folder.
    }
  }
  return '';
}
