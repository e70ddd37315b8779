/** The script of a detector's page. */
import { createDetector } from '../tasks/detector.ts';
import { readTaskManifest } from '../tasks/taskManifest.ts';
import { startPage } from './main.ts';
import { ObjectsView } from './objectsView.ts';

void startPage({
  kind: 'Object detector',
  several: 'networks',
  read: readTaskManifest,
  load: async (source, options) => {
    const detector = await createDetector(source, options);
    return (elements, redo) => new ObjectsView(detector, elements, redo);
  },
});
