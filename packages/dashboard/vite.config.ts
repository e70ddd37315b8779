/** Builds the page twice: as modules for the server, and as one script and one style sheet for pages that are opened from the disk. */
import { fileURLToPath } from 'node:url';
import { defineConfig, type UserConfig } from 'vite';

const folder = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig(({ mode }): UserConfig => {
  const isShared = mode === 'shared';
  return {
    root: folder('page'),
    base: './',
    define: { __SHARED__: JSON.stringify(isShared) },
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
      outDir: folder(isShared ? 'dist/web/shared' : 'dist/web/served'),
      emptyOutDir: true,
      target: 'es2022',
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
      // Inlined files would need a wider policy than 'self'.
      assetsInlineLimit: 0,
      ...(isShared
        ? {
            lib: {
              entry: folder('page/main.tsx'),
              name: 'cohortDashboard',
              formats: ['iife'],
              fileName: () => 'page.js',
              cssFileName: 'page',
            },
          }
        : {}),
    },
    logLevel: 'warn',
  };
});
