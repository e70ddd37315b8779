/** What can be set of an answer: the network, and an amount such as the least score. */
import type { TaskNetwork } from '../tasks/taskManifest.ts';
import type { PageElements } from './elements.ts';

export interface Amount {
  readonly name: string;
  /** Whole per cent. */
  readonly value: number;
  readonly least: number;
  readonly most: number;
}

/** Shows both controls. Settings survive another precision: the page keeps them. */
export class Controls {
  readonly #elements: PageElements;
  readonly #ended = new AbortController();

  constructor(
    elements: PageElements,
    networks: readonly TaskNetwork[],
    amount: Amount,
    changed: { network(): void; amount(): void },
  ) {
    this.#elements = elements;
    const { controls, network, networkChoice, amount: slider, amountName } = elements;
    const { signal } = this.#ended;
    controls.hidden = false;
    networkChoice.hidden = networks.length < 2;
    if (network.options.length === 0) network.append(...networks.map(({ name }) => new Option(name, name)));
    network.addEventListener(
      'change',
      () => {
        changed.network();
      },
      { signal },
    );
    if (amountName.textContent !== amount.name) {
      amountName.textContent = amount.name;
      slider.min = String(amount.least);
      slider.max = String(amount.most);
      slider.value = String(amount.value);
    }
    const show = (): void => {
      elements.amountValue.textContent = `${slider.value} %`;
    };
    show();
    slider.addEventListener(
      'input',
      () => {
        show();
        changed.amount();
      },
      { signal },
    );
  }

  get network(): string {
    return this.#elements.network.value;
  }

  /** 0 to 1. */
  get amount(): number {
    return Number(this.#elements.amount.value) / 100;
  }

  dispose(): void {
    this.#ended.abort();
  }
}
