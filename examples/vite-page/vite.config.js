import { defineConfig } from 'vite';

// Relative addresses: the built page works from any subfolder.
export default defineConfig({ base: './' });
