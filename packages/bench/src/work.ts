/** What the programs of a benchmark can be asked to do, as plain data that either side reads; no engine. */

/** Numbers that a training step or a network is computed in. */
export type Precision = 'float32' | 'bfloat16';

/** One training step: forward, losses, backward, optimizer, and a meta step where that is wanted. */
export interface StepWork {
  readonly kind: 'step';
  readonly method: 'independent' | 'dml' | 'mcl' | 'l-mcl' | 'moco-mcl';
  readonly models: readonly string[];
  readonly batch: number;
  readonly metaStep: boolean;
  /** Side of the images in pixels; 32 unless given. */
  readonly imageSize?: number;
}

/** VCL, ICL and their soft forms on embeddings, forward and backward; with stages, layer-wise. */
export interface LossesWork {
  readonly kind: 'losses';
  readonly networks: number;
  readonly stages: number;
  readonly batch: number;
}

/** Accuracy of one network over images in memory. */
export interface EvaluationWork {
  readonly kind: 'evaluation';
  readonly model: string;
  readonly images: number;
  readonly batch: number;
}

/** One image at a time through a network that is ready for inference, from a typed array to the numbers of its logits. */
export interface SingleImageWork {
  readonly kind: 'single-image';
  readonly model: string;
}

/** `predict` on a run of one network, from opening the run and the files to the classes. */
export interface PredictionWork {
  readonly kind: 'prediction';
  readonly model: string;
  readonly images: number;
  readonly batch: number;
}

/** One batch of images in memory, cropped, flipped and normalised. */
export interface BatchesWork {
  readonly kind: 'batches';
  readonly images: number;
  readonly batch: number;
}

/** An epoch of JPEG files without a step, through the loader or by sharp alone. */
export interface PhotosWork {
  readonly kind: 'photos';
  readonly reader: 'loader' | 'disk cache' | 'sharp';
  readonly images: number;
  /** Side of the images in pixels. */
  readonly size: number;
}

/** The fastest matrix products and convolutions that this machine manages with the same engine. */
export interface PeaksWork {
  readonly kind: 'peaks';
}

/** Any of them. */
export type Work =
  | StepWork
  | LossesWork
  | EvaluationWork
  | SingleImageWork
  | PredictionWork
  | BatchesWork
  | PhotosWork
  | PeaksWork;

/** What a program is started with. */
export type WorkSpec = Work & {
  readonly precision: Precision;
  readonly classes: number;
  readonly threads: number;
  /** cpu, cuda or cuda:N. */
  readonly device: string;
  /** Folder for files of this case, e.g. images. */
  readonly folder: string;
  /** Image files, of cases that read some. */
  readonly paths: readonly string[];
  /** Whether ONNX Runtime is to do it in the place of our engine. */
  readonly usesOnnxRuntime?: boolean;
  /** Whether PyTorch's networks are to be compiled. */
  readonly compiles?: boolean;
  /** Whether torchdistill is to take PyTorch's steps. */
  readonly usesTorchdistill?: boolean;
};

/** What a program says when it is ready. */
export interface AboutWork {
  /** Of LibTorch, PyTorch or ONNX Runtime. */
  readonly version: string;
  readonly threads: number;
  /** Vector instructions that ATen's kernels use. */
  readonly capability: string;
  /** Of the networks, without what exists only in training. */
  readonly parameters?: number;
  /** Of convolutions and linear layers: in a step's forward pass, else for one image. */
  readonly multiplyAdds?: number;
}

/** What a program measured on one command. */
export interface Timing {
  /** One duration a repetition. */
  readonly ms: readonly number[];
  /** What the last repetition computed, by name. */
  readonly values: Readonly<Record<string, number>>;
}

/** Images that one repetition works on; null where a repetition is not about images. */
export function imagesPerRepetition(work: Work): number | null {
  switch (work.kind) {
    case 'step':
    case 'batches':
      return work.batch;
    case 'evaluation':
    case 'prediction':
    case 'photos':
      return work.images;
    case 'single-image':
      return 1;
    case 'losses':
    case 'peaks':
      return null;
  }
}

/**
 * Floating-point operations of one repetition: two a multiply-add, and as many passes as the work takes. Backward costs
 * two forward passes, one for the inputs' and one for the weights' gradients.
 *
 * A meta step takes four such triples (two look-ahead steps on the contrast, one on the cross-entropy, the outer loss), and
 * goes back through three steps at nine passes each: forward, backward, and two for each of these three products when the
 * gradient is differentiated. Half of the multiply-adds of momentum contrast are of keys, which only go forward.
 */
export function operationsPerRepetition(work: Work, multiplyAdds: number): number | null {
  switch (work.kind) {
    case 'step':
      return 2 * multiplyAdds * ((work.method === 'moco-mcl' ? 2 : 3) + (work.metaStep ? 4 * 3 + 3 * 9 : 0));
    case 'evaluation':
    case 'prediction':
      return 2 * multiplyAdds * work.images;
    case 'single-image':
      return 2 * multiplyAdds;
    case 'losses':
    case 'batches':
    case 'photos':
    case 'peaks':
      return null;
  }
}
