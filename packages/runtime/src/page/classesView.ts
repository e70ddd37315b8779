/** Shows the most probable classes of a picture, for every network of the export. */
import type { Classifier } from '../classifier/classifier.ts';
import type { ImageSource } from '../classifier/decode.ts';
import type { Precision } from '../classifier/fields.ts';
import type { PageElements } from './elements.ts';
import { describe, showResults } from './results.ts';
import type { Answer, View } from './view.ts';

/** Classes to show per network. */
const top = 5;

export class ClassesView implements View {
  readonly #classifier: Classifier;
  readonly #elements: PageElements;

  constructor(classifier: Classifier, elements: PageElements) {
    this.#classifier = classifier;
    this.#elements = elements;
    elements.empty.textContent = 'The five most probable classes will be shown here.';
  }

  get precision(): Precision {
    return this.#classifier.precision;
  }

  async answer(image: ImageSource): Promise<Answer> {
    const results = await this.#classifier.classifyAll(image, { top });
    return {
      show: () => {
        showResults(this.#elements.results, results);
      },
      sentence: describe(results),
      key: results.map(({ predictions: [best] }) => best?.label ?? '').join(';'),
    };
  }

  clear(): void {
    // Nothing lies over the picture.
  }

  warmUp(): Promise<void> {
    return this.#classifier.warmUp();
  }

  dispose(): void {
    this.#classifier.dispose();
  }
}
