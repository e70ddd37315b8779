const worker = new Worker('worker.js', { type: 'module' });
const answer = document.querySelector('#answer');
let asked = 0;

document.querySelector('#picture').addEventListener('change', ({ target }) => {
  const [picture] = target.files;
  if (picture) worker.postMessage({ question: ++asked, picture });
});

worker.addEventListener('message', ({ data: { question, predictions, error } }) => {
  // Answers to earlier pictures are out of date.
  if (question !== asked) return;
  answer.textContent =
    error ?? predictions.map(({ label, probability }) => `${label} ${probability.toFixed(2)}`).join(', ');
});
