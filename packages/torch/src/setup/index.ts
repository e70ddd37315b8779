/** What `cohort setup` needs: building the engine, and where it stands. Opens no LibTorch. */
export { cohortCacheFolder, engineCacheFolder, rememberedEngine } from './engineCache.ts';
export type { BuiltEngine, FileStamp } from './engineCache.ts';
export { isRepository, setupCommand } from './locateAddon.ts';
export { EngineSetupError, setUpEngine } from './setUpEngine.ts';
export type { EngineSetupOptions, EngineSetupResult } from './setUpEngine.ts';
