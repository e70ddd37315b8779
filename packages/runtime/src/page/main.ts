/** The script of the exported page: pictures and the camera go in; classes, boxes or masks come out. */
import type { ImageSource } from '../classifier/decode.ts';
import type { Precision } from '../classifier/fields.ts';
import type { Manifest } from '../classifier/manifest.ts';
import type { TaskManifest } from '../tasks/taskManifest.ts';
import { prepareResize } from '../preprocess/resizeKernels.ts';
import { prepareKernels } from '../wasm/kernels.ts';
import { Camera } from './camera.ts';
import { findElements, type PageElements } from './elements.ts';
import { findSource, type PageSource } from './source.ts';
import type { MakeView, PageTask } from './task.ts';
import type { Answer, View } from './view.ts';

/** Images from the camera per second at most; fewer where less motion is wanted. */
const mostPerSecond = 8;
const mostPerSecondCalm = 1;
/** Screen readers hear of the camera at most this often, and only when the answer changes. */
const announcementMs = 2000;
/** Pictures of fewer pixels than this are enlarged without blur. */
const smallSide = 96;

class Page {
  readonly #elements: PageElements;
  readonly #source: PageSource;
  readonly #camera: Camera;
  #view: View;
  #picture: Blob | null = null;
  #preview = '';
  #turn = 0;
  #announcedAt = 0;
  #announced = '';

  constructor(elements: PageElements, source: PageSource, makeView: MakeView) {
    this.#elements = elements;
    this.#source = source;
    this.#camera = new Camera(elements.video);
    this.#view = this.#viewOf(makeView);
  }

  start(): void {
    const { drop, file, camera, turn, precision, precisions } = this.#elements;
    file.disabled = false;
    camera.disabled = false;
    file.addEventListener('change', () => {
      const [chosen] = file.files ?? [];
      if (chosen) void this.#show(chosen);
      file.value = '';
    });
    document.addEventListener('paste', (event) => {
      const pasted = firstImage(event.clipboardData);
      if (pasted) void this.#show(pasted);
    });
    document.addEventListener('dragover', (event) => {
      event.preventDefault();
      drop.classList.add('over');
    });
    document.addEventListener('dragleave', (event) => {
      if (event.relatedTarget === null) drop.classList.remove('over');
    });
    document.addEventListener('drop', (event) => {
      event.preventDefault();
      drop.classList.remove('over');
      const dropped = firstImage(event.dataTransfer);
      if (dropped) void this.#show(dropped);
      else this.#fail('That was no picture. Drop an image file.');
    });
    camera.addEventListener('click', () => void this.#toggleCamera());
    turn.addEventListener('click', () => void this.#guard(() => this.#camera.turn()));
    document.addEventListener('visibilitychange', () => {
      if (document.hidden && this.#camera.isRunning) this.#stopCamera();
    });
    const { models } = this.#source;
    if (models.length > 1) {
      precisions.hidden = false;
      for (const { precision: name, bytes } of models) {
        precision.append(new Option(`${name} (${Math.round(bytes / 1000)} kB)`, name));
      }
      precision.value = this.#view.precision;
      precision.addEventListener('change', () => void this.#load(precision.value as Precision));
    }
  }

  async #load(precision: Precision): Promise<void> {
    await this.#guard(async () => {
      const next = await this.#source.load(precision);
      this.#view.dispose();
      this.#view = this.#viewOf(next);
      if (this.#picture && !this.#camera.isRunning) await this.#answer(this.#picture);
    });
  }

  #viewOf(makeView: MakeView): View {
    return makeView(this.#elements, () => {
      const picture = this.#picture;
      if (picture && !this.#camera.isRunning) void this.#guard(() => this.#answer(picture));
    });
  }

  warmUp(): Promise<void> {
    return this.#view.warmUp();
  }

  /** Shows a picture and what the network says of it. */
  async #show(picture: Blob): Promise<void> {
    const { preview, video, drop, hint } = this.#elements;
    this.#stopCamera();
    this.#view.clear();
    URL.revokeObjectURL(this.#preview);
    this.#preview = URL.createObjectURL(picture);
    this.#picture = picture;
    preview.src = this.#preview;
    preview.alt =
      picture instanceof File && picture.name !== '' ? `Your picture ${picture.name}` : 'Your picture';
    preview.onload = () => {
      preview.classList.toggle('small', Math.max(preview.naturalWidth, preview.naturalHeight) <= smallSide);
    };
    preview.hidden = false;
    video.hidden = true;
    hint.hidden = true;
    drop.classList.add('filled');
    const shown = await this.#guard(() => this.#answer(picture));
    if (!shown && this.#picture === picture) this.#clear();
  }

  #clear(): void {
    const { preview, drop, hint } = this.#elements;
    this.#picture = null;
    this.#view.clear();
    preview.hidden = true;
    preview.removeAttribute('src');
    hint.hidden = false;
    drop.classList.remove('filled');
  }

  async #answer(image: ImageSource): Promise<void> {
    const turn = ++this.#turn;
    const start = performance.now();
    const answer = await this.#view.answer(image);
    if (turn !== this.#turn) return;
    this.#report(answer, performance.now() - start);
  }

  #report(answer: Answer, milliseconds: number): void {
    const { empty, timing, announcement } = this.#elements;
    empty.hidden = true;
    answer.show();
    timing.textContent = `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
    const now = performance.now();
    const due = now - this.#announcedAt >= announcementMs && answer.key !== this.#announced;
    if (this.#camera.isRunning && !due) return;
    this.#announcedAt = now;
    this.#announced = answer.key;
    announcement.textContent = answer.sentence;
  }

  async #toggleCamera(): Promise<void> {
    if (this.#camera.isRunning) {
      this.#stopCamera();
      return;
    }
    const { video, preview, drop, hint, camera, turn } = this.#elements;
    await this.#guard(async () => {
      await this.#camera.start();
      video.hidden = false;
      preview.hidden = true;
      hint.hidden = true;
      drop.classList.add('filled');
      camera.textContent = 'Stop the camera';
      turn.hidden = !(await this.#camera.hasSeveral());
      this.#picture = null;
      this.#view.clear();
      void this.#watch();
    });
  }

  #stopCamera(): void {
    if (!this.#camera.isRunning) return;
    const { video, camera, turn } = this.#elements;
    this.#camera.stop();
    video.hidden = true;
    turn.hidden = true;
    camera.textContent = 'Use the camera';
    this.#clear();
  }

  /** Answers for what the camera shows for as long as it runs. */
  async #watch(): Promise<void> {
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    const interval = 1000 / (calm ? mostPerSecondCalm : mostPerSecond);
    while (this.#camera.isRunning) {
      const start = performance.now();
      const { video } = this.#elements;
      if (video.videoWidth > 0) await this.#guard(() => this.#answer(video));
      const rest = Math.max(interval - (performance.now() - start), 0);
      await new Promise((resolve) => setTimeout(resolve, rest));
    }
  }

  /** Runs something and shows its error, if it has one. */
  async #guard(run: () => Promise<void>): Promise<boolean> {
    this.#elements.error.hidden = true;
    try {
      await run();
      return true;
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  #fail(message: string): void {
    const { error } = this.#elements;
    error.textContent = message;
    error.hidden = false;
  }
}

function firstImage(data: DataTransfer | null): File | null {
  return Array.from(data?.files ?? []).find(({ type }) => type === '' || type.startsWith('image/')) ?? null;
}

/** Loads the network, which is a file next to the page or a part of it, and gets the page ready for pictures. */
export async function startPage<Any extends Manifest | TaskManifest>(task: PageTask<Any>): Promise<void> {
  const elements = findElements();
  const { title, summary, error } = elements;
  prepareKernels();
  try {
    const finding = findSource(task);
    prepareResize();
    const source = await finding;
    const { labels, networks } = source.manifest;
    const [smallest] = source.models;
    const [first] = networks;
    if ('task' in source.manifest) document.documentElement.dataset.task = source.manifest.task.name;
    title.textContent = source.dataset === '' ? task.kind : `${source.dataset}: ${lowerFirst(task.kind)}`;
    document.title = title.textContent;
    const makeView = await source.load(smallest?.precision ?? 'float32');
    const who = networks.length > 1 ? `${networks.length} ${task.several}` : (first?.name ?? 'One network');
    summary.textContent = `${who}, ${labels.length} classes.`;
    const page = new Page(elements, source, makeView);
    page.start();
    // Later, so that a picture which is chosen at once is decoded meanwhile.
    await new Promise((resolve) => setTimeout(resolve));
    await page.warmUp();
    document.documentElement.dataset.ready = 'true';
  } catch (problem) {
    summary.textContent = 'The network could not be loaded.';
    error.textContent = problem instanceof Error ? problem.message : String(problem);
    error.hidden = false;
  }
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}
