/** Chooses the part of the page that shows the answers of a network. */
import { Classifier } from '../classifier/classifier.ts';
import { Detector } from '../tasks/detector.ts';
import type { Segmenter } from '../tasks/segmenter.ts';
import { ClassesView } from './classesView.ts';
import type { PageElements } from './elements.ts';
import { MasksView } from './masksView.ts';
import { ObjectsView } from './objectsView.ts';
import type { View } from './view.ts';

/** A network of any task. */
export type LoadedNetwork = Classifier | Detector | Segmenter;

/** @param redo answers for the picture that is shown once more */
export function createView(network: LoadedNetwork, elements: PageElements, redo: () => void): View {
  if (network instanceof Classifier) return new ClassesView(network, elements);
  return network instanceof Detector
    ? new ObjectsView(network, elements, redo)
    : new MasksView(network, elements, redo);
}
