/** Classifies the pictures that are posted to it, with the exported folder that it lies in. */
import { createClassifier } from './classifier.js';

const loading = createClassifier('.');

addEventListener('message', async ({ data: { question, picture } }) => {
  try {
    const classifier = await loading;
    postMessage({ question, predictions: await classifier.classify(picture, { top: 3 }) });
  } catch (error) {
    postMessage({ question, error: error.message });
  }
});
