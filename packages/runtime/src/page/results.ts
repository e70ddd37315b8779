/** Shows what every network says: its most probable classes with bars. */
import type { NetworkPredictions, Prediction } from '../classifier/classifier.ts';

/** Probability for people: whole per cent, and never 100 % or 0 % where it is not. */
export function percent(probability: number): string {
  const value = probability * 100;
  if (value > 99 && value < 99.95) return `${value.toFixed(1)} %`;
  if (value < 1) return value < 0.1 ? '< 0.1 %' : `${value.toFixed(1)} %`;
  return `${Math.round(value)} %`;
}

/** An element with a class and text. */
export function createElement<K extends keyof HTMLElementTagNameMap>(
  name: K,
  className: string,
  content = '',
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  if (className !== '') element.className = className;
  element.textContent = content;
  return element;
}

function createItem(prediction: Prediction): HTMLLIElement {
  const item = createElement('li', '');
  const bar = createElement('div', 'bar');
  bar.setAttribute('aria-hidden', 'true');
  const filled = createElement('span', '');
  bar.append(filled);
  item.append(createElement('span', 'label'), createElement('span', 'share'), bar);
  updateItem(item, prediction);
  return item;
}

function updateItem(item: Element, { label, probability }: Prediction): void {
  const [name, share, bar] = item.children;
  if (name) name.textContent = label;
  if (share) share.textContent = percent(probability);
  const filled = bar?.firstElementChild;
  if (filled instanceof HTMLElement) filled.style.setProperty('--share', probability.toFixed(4));
}

/** Fills `container`; elements of an earlier result are kept, so that bars move and screen readers keep their place. */
export function showResults(container: HTMLElement, results: readonly NetworkPredictions[]): void {
  if (container.children.length !== results.length) {
    container.replaceChildren(
      ...results.map(({ network, predictions }) => {
        const card = createElement('article', 'network');
        const list = createElement('ol', '');
        list.append(...predictions.map(createItem));
        card.append(createElement('h2', '', network), list);
        return card;
      }),
    );
    return;
  }
  for (const [index, { network, predictions }] of results.entries()) {
    const [heading, list] = container.children[index]?.children ?? [];
    if (heading) heading.textContent = network;
    for (const [place, prediction] of predictions.entries()) {
      const item = list?.children[place];
      if (item) updateItem(item, prediction);
    }
  }
}

/** One sentence for screen readers. */
export function describe(results: readonly NetworkPredictions[]): string {
  const parts = results.map(({ network, predictions: [best] }) => {
    const answer = best ? `${best.label}, ${percent(best.probability)}` : 'nothing';
    return results.length > 1 ? `${network}: ${answer}` : answer;
  });
  return `${parts.join('; ')}.`;
}
