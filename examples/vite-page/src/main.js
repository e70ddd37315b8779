import { createClassifier, InferenceError } from '@cohort-ml/runtime';

const answer = document.querySelector('#answer');
const loading = createClassifier('./shirts');

document.querySelector('#picture').addEventListener('change', async ({ target }) => {
  const [picture] = target.files;
  if (!picture) return;
  try {
    const classifier = await loading;
    const [best] = await classifier.classify(picture, { top: 1 });
    answer.textContent = `${best.label}, ${Math.round(best.probability * 100)} %`;
  } catch (error) {
    if (!(error instanceof InferenceError)) throw error;
    answer.textContent = error.message;
  }
});
