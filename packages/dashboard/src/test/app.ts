/** The dashboard's app over a folder, asked without a network. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Hono } from 'hono';
import { Catalogue } from '../catalogue/catalogue.ts';
import type { RunKnowledge } from '../knowledge.ts';
import { type AppContext } from '../server/context.ts';
import { makeApp } from '../server/app.ts';
import type { SecurityOptions } from '../server/security.ts';
import { onEnd, temporaryFolder } from './folders.ts';

/** What differs from a read-only dashboard on loopback. */
export interface TestOptions {
  readonly canEdit?: boolean;
  readonly knowledge?: RunKnowledge;
  readonly security?: Partial<SecurityOptions>;
}

/** A context with small stand-ins for the built pages. */
export function contextOf(root: string, { canEdit = false, knowledge = {} }: TestOptions = {}): AppContext {
  const catalogue = new Catalogue(root);
  catalogue.readAll();
  onEnd(() => {
    catalogue.stop();
  });
  const built = temporaryFolder();
  mkdirSync(join(built, 'page', 'assets'), { recursive: true });
  mkdirSync(join(built, 'shared'));
  writeFileSync(join(built, 'page', 'index.html'), '<!doctype html><title>page</title>');
  writeFileSync(join(built, 'page', 'assets', 'main.js'), 'export {};');
  writeFileSync(join(built, 'secret.txt'), 'secret');
  writeFileSync(join(built, 'shared', 'page.js'), 'document.title = "</script>";');
  writeFileSync(join(built, 'shared', 'page.css'), 'body { margin: 0 }');
  return {
    ...{ catalogue, canEdit, knowledge },
    version: '0.0.0',
    pageFolder: join(built, 'page'),
    sharedPageFolder: join(built, 'shared'),
  };
}

/** Asks the app. */
export type Ask = (path: string, init?: RequestInit) => Promise<Response>;

/** An app over a folder of runs. */
export function testApp(
  root: string,
  options: TestOptions = {},
): { app: Hono; ask: Ask; context: AppContext } {
  const context = contextOf(root, options);
  const app = makeApp(context, {
    token: null,
    hosts: new Set(['localhost', '127.0.0.1']),
    ...options.security,
  });
  const ask: Ask = async (path, init = {}) =>
    app.request(`http://localhost:1${path}`, {
      ...init,
      headers: { host: 'localhost:1', ...(init.headers as Record<string, string> | undefined) },
    });
  return { app, ask, context };
}

/** The body of an answer as JSON. */
export async function jsonOf<T>(answer: Response | Promise<Response>): Promise<T> {
  return (await (await answer).json()) as T;
}
