/** The script of a segmenter's page. */
import { createSegmenter } from '../tasks/segmenter.ts';
import { readTaskManifest } from '../tasks/taskManifest.ts';
import { startPage } from './main.ts';
import { MasksView } from './masksView.ts';

void startPage({
  kind: 'Image segmenter',
  several: 'networks',
  read: readTaskManifest,
  load: async (source, options) => {
    const segmenter = await createSegmenter(source, options);
    return (elements, redo) => new MasksView(segmenter, elements, redo);
  },
});
