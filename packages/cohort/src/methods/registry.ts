/** Every method by name; a new one is its file, its settings in settings.ts and one line here. */
import { AdversarialDistillation } from './baselines/afd.ts';
import { CollaborativeLearning } from './baselines/clIlr.ts';
import { DenseCrossLayerDistillation } from './baselines/dcm.ts';
import { DeepMutualLearning } from './baselines/dml.ts';
import { FeatureFusionLearning } from './baselines/ffl.ts';
import { Independent } from './baselines/independent.ts';
import { CollaborativeDistillation } from './baselines/kdcl.ts';
import { LayerwiseMutualContrastiveLearning } from './mcl/lmcl.ts';
import { MutualContrastiveLearning } from './mcl/mcl.ts';
import type { Method, MethodContext } from './method.ts';
import { DiversePeers } from './baselines/okddip.ts';
import { NativeEnsemble } from './baselines/one.ts';
import { PeerCollaborativeLearning } from './baselines/pcl.ts';
import type { MethodSettings } from './settings.ts';
import { SwitchableDistillation } from './baselines/switokd.ts';

/** Builds the method that `settings` name, with its extra modules, for a cohort. */
export function createMethod(settings: MethodSettings, context: MethodContext): Method {
  switch (settings.name) {
    case 'independent':
      return new Independent(context);
    case 'dml':
      return new DeepMutualLearning(context, settings);
    case 'cl-ilr':
      return new CollaborativeLearning(context, settings);
    case 'one':
      return new NativeEnsemble(context, settings);
    case 'okddip':
      return new DiversePeers(context, settings);
    case 'kdcl':
      return new CollaborativeDistillation(context, settings);
    case 'pcl':
      return new PeerCollaborativeLearning(context, settings);
    case 'ffl':
      return new FeatureFusionLearning(context, settings);
    case 'afd':
      return new AdversarialDistillation(context, settings);
    case 'dcm':
      return new DenseCrossLayerDistillation(context, settings);
    case 'switokd':
      return new SwitchableDistillation(context, settings);
    case 'mcl':
      return new MutualContrastiveLearning(context, settings);
    case 'l-mcl':
      return new LayerwiseMutualContrastiveLearning(context, settings);
  }
}
