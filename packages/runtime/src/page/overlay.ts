/** Draws over the picture, however large the page shows it. */
import type { Size } from '../tasks/fit.ts';

/** A canvas over the picture, in its own pixels. */
export interface Drawing {
  readonly context: CanvasRenderingContext2D;
  /** Pixels of the canvas for one of the page. */
  readonly density: number;
  /** Where a rectangle of the picture lies on the canvas. */
  readonly place: (box: readonly [number, number, number, number]) => {
    readonly x: number;
    readonly y: number;
    readonly width: number;
    readonly height: number;
  };
  /** Lays an image over a window of the picture, or over all of it. */
  readonly cover: (image: CanvasImageSource, window?: PictureWindow) => void;
}

/** A part of the picture, in its pixels. */
interface PictureWindow extends Size {
  readonly left: number;
  readonly top: number;
}

type Paint = (drawing: Drawing) => void;

export class Overlay {
  readonly #canvas: HTMLCanvasElement;
  readonly #video: HTMLVideoElement;
  readonly #observer: ResizeObserver;
  #shown: { readonly size: Size; readonly paint: Paint } | null = null;

  /** @param video whose pictures may be mirrored */
  constructor(canvas: HTMLCanvasElement, video: HTMLVideoElement) {
    this.#canvas = canvas;
    this.#video = video;
    this.#observer = new ResizeObserver(() => {
      this.redraw();
    });
    this.#observer.observe(canvas);
  }

  /** @param size of the picture, which is shown whole and in the middle */
  show(size: Size, paint: Paint): void {
    this.#shown = { size, paint };
    this.#canvas.hidden = false;
    this.redraw();
  }

  clear(): void {
    this.#shown = null;
    this.#canvas.hidden = true;
  }

  redraw(): void {
    const shown = this.#shown;
    const context = this.#canvas.getContext('2d');
    if (shown === null || context === null) return;
    const { clientWidth, clientHeight } = this.#canvas;
    const density = Math.max(1, devicePixelRatio);
    this.#canvas.width = Math.round(clientWidth * density);
    this.#canvas.height = Math.round(clientHeight * density);
    const { size, paint } = shown;
    const scale = Math.min(this.#canvas.width / size.width, this.#canvas.height / size.height);
    const left = (this.#canvas.width - size.width * scale) / 2;
    const top = (this.#canvas.height - size.height * scale) / 2;
    const isMirrored = !this.#video.hidden && this.#video.classList.contains('mirrored');
    paint({
      context,
      density,
      place: ([x0, y0, x1, y1]) => ({
        x: left + scale * (isMirrored ? size.width - x1 : x0),
        y: top + scale * y0,
        width: scale * (x1 - x0),
        height: scale * (y1 - y0),
      }),
      cover: (image, window = { left: 0, top: 0, ...size }) => {
        context.save();
        context.imageSmoothingEnabled = false;
        context.translate(isMirrored ? this.#canvas.width - left : left, top);
        context.scale(isMirrored ? -scale : scale, scale);
        context.drawImage(image, window.left, window.top, window.width, window.height);
        context.restore();
      },
    });
  }

  dispose(): void {
    this.clear();
    this.#observer.disconnect();
  }
}
