/** The parts of `index.html` that the page's script uses. */

/** @throws {Error} where the page lacks the element: the script belongs to another page */
function find<T extends Element>(id: string, type: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`The page has no ${id}.`);
  return element;
}

export interface PageElements {
  readonly title: HTMLElement;
  readonly summary: HTMLElement;
  readonly drop: HTMLElement;
  readonly preview: HTMLImageElement;
  readonly video: HTMLVideoElement;
  readonly hint: HTMLElement;
  readonly file: HTMLInputElement;
  readonly camera: HTMLButtonElement;
  readonly turn: HTMLButtonElement;
  readonly error: HTMLElement;
  readonly announcement: HTMLElement;
  readonly results: HTMLElement;
  readonly empty: HTMLElement;
  readonly overlay: HTMLCanvasElement;
  readonly controls: HTMLElement;
  readonly networkChoice: HTMLElement;
  readonly network: HTMLSelectElement;
  readonly amount: HTMLInputElement;
  readonly amountName: HTMLElement;
  readonly amountValue: HTMLElement;
  readonly precisions: HTMLElement;
  readonly precision: HTMLSelectElement;
  readonly timing: HTMLElement;
}

export function findElements(): PageElements {
  return {
    title: find('title', HTMLElement),
    summary: find('summary', HTMLElement),
    drop: find('drop', HTMLElement),
    preview: find('preview', HTMLImageElement),
    video: find('video', HTMLVideoElement),
    hint: find('hint', HTMLElement),
    file: find('file', HTMLInputElement),
    camera: find('camera', HTMLButtonElement),
    turn: find('turn', HTMLButtonElement),
    error: find('error', HTMLElement),
    announcement: find('announcement', HTMLElement),
    results: find('results', HTMLElement),
    empty: find('empty', HTMLElement),
    overlay: find('overlay', HTMLCanvasElement),
    controls: find('controls', HTMLElement),
    networkChoice: find('network-choice', HTMLElement),
    network: find('network', HTMLSelectElement),
    amount: find('amount', HTMLInputElement),
    amountName: find('amount-name', HTMLElement),
    amountValue: find('amount-value', HTMLElement),
    precisions: find('precisions', HTMLElement),
    precision: find('precision', HTMLSelectElement),
    timing: find('timing', HTMLElement),
  };
}
