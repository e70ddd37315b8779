/** Serves the handler with Deno: reads the exported folder once, then needs no file system. */
import { createHandler } from './handler.mjs';

const folder = Deno.args[0] ?? 'shirts';
const manifest = JSON.parse(await Deno.readTextFile(`${folder}/cohort.json`));
const [{ path }] = manifest.models;
const files = { [path]: await Deno.readFile(`${folder}/${path}`) };
Deno.serve({ port: Number(Deno.env.get('PORT') ?? 3000) }, createHandler({ manifest, files }));
