/** Routes of what the networks saw: predictions, embeddings and pictures of held-out images. */
import type { Hono } from 'hono';
import { embeddingSteps, openRun } from '@cohort-ml/runs';
import { embeddingsOf, predictionsOf, probabilitiesOf } from '../run/heldOut.ts';
import type { AnswerCache } from './answers.ts';
import type { AppContext } from './context.ts';
import { choiceQuery, numberQuery, RequestError } from './query.ts';
import { entryOf } from './runRoutes.ts';

/** Adds the routes. */
export function addHeldOutRoutes(api: Hono, given: AppContext, answers: AnswerCache): void {
  api.get('/runs/:id/predictions', (context) => {
    const entry = entryOf(given, context.req.param('id'));
    const predictions = predictionsOf(entry.path);
    if (predictions === null) throw new RequestError(404, NOT_RECORDED);
    return context.json(predictions);
  });

  api.get('/runs/:id/predictions/:index', (context) => {
    const entry = entryOf(given, context.req.param('id'));
    const index = Number(context.req.param('index'));
    const found = Number.isSafeInteger(index) ? probabilitiesOf(entry.path, index) : null;
    if (found === null) throw new RequestError(404, 'There is no such image in the records of this run.');
    return context.json(found);
  });

  api.get('/runs/:id/embeddings', async (context) => {
    const entry = entryOf(given, context.req.param('id'));
    const steps = embeddingSteps(entry.path);
    const step = numberQuery(context, 'step', 0) ?? steps.at(-1);
    if (step === undefined || !steps.includes(step)) throw new RequestError(404, NOT_RECORDED);
    const text = await answers.get(context.req.url, `${entry.revision}`, () =>
      embeddingsOf(entry.path, step),
    );
    return new Response(text, { headers: { 'Content-Type': 'application/json; charset=UTF-8' } });
  });

  api.get('/runs/:id/images/:index', async (context) => {
    const entry = entryOf(given, context.req.param('id'));
    const index = Number(context.req.param('index'));
    const split = choiceQuery(context, 'split', ['test', 'validation']);
    const { recipe } = openRun(entry.path);
    const picture =
      Number.isSafeInteger(index) && index >= 0
        ? await given.knowledge.image?.({ recipe, split, index })
        : null;
    if (picture == null) {
      throw new RequestError(
        404,
        'The picture cannot be shown: the dataset of the run is not on this machine.',
      );
    }
    return new Response(new Uint8Array(picture), {
      headers: { 'Content-Type': 'image/png', 'Cache-Control': 'private, max-age=3600' },
    });
  });
}

const NOT_RECORDED =
  'This run has not recorded what its networks said about held-out images. They are recorded at some of its evaluations and when it ends; runs of older versions have none.';
