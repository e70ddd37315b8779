/** Every method by name; a new one is its file, its settings in settings.ts and one line here. */
import { Independent } from './independent.ts';
import { LayerwiseMutualContrastiveLearning } from './lmcl.ts';
import { MutualContrastiveLearning } from './mcl.ts';
import type { Method, MethodContext } from './method.ts';
import type { MethodSettings } from './settings.ts';

/** Builds the method that `settings` name, with its extra modules, for a cohort. */
export function createMethod(settings: MethodSettings, context: MethodContext): Method {
  switch (settings.name) {
    case 'independent':
      return new Independent(context);
    case 'mcl':
      return new MutualContrastiveLearning(context, settings);
    case 'l-mcl':
      return new LayerwiseMutualContrastiveLearning(context, settings);
  }
}
