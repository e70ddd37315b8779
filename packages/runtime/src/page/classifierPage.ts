/** The script of a classifier's page. */
import { createClassifier } from '../classifier/classifier.ts';
import { readManifest } from '../classifier/manifest.ts';
import { ClassesView } from './classesView.ts';
import { startPage } from './main.ts';

void startPage({
  kind: 'Image classifier',
  several: 'networks side by side',
  read: readManifest,
  load: async (source, options) => {
    const classifier = await createClassifier(source, options);
    return (elements) => new ClassesView(classifier, elements);
  },
});
