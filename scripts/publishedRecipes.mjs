/** Writes recipes/published: one recipe per row of the tables that the authors of MCL and L-MCL published with their programs. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../recipes/published/', import.meta.url));

const MCL = {
  title: 'Mutual Contrastive Learning (arXiv 2104.12565)',
  source: 'https://github.com/winycg/MCL, README.md',
};
const LMCL = {
  title: 'layer-wise Mutual Contrastive Learning (arXiv 2207.11518)',
  source: 'https://github.com/winycg/L-MCL, README.md',
};

/** Accuracy on CIFAR-100 of the network trained alone, as given in both READMEs, and the authors' name for it. */
const CIFAR = {
  resnet32: ['ResNet-32', '70.91', 'resnet32'],
  resnet56: ['ResNet-56', '73.15', 'resnet56'],
  resnet110: ['ResNet-110', '75.29', 'resnet110'],
  'wrn-16-2': ['WRN-16-2', '72.55', 'wrn_16_2'],
  'wrn-40-2': ['WRN-40-2', '76.89', 'wrn_40_2'],
  'wrn-28-4': ['WRN-28-4', '79.17', 'wrn_28_4'],
  'hcgnet-a1': ['HCGNet-A1', '77.42', 'hcgnet_A1'],
  'hcgnet-a2': ['HCGNet-A2', '79.00', 'hcgnet_A2'],
  'shufflenetv2-0.5x': ['ShuffleNetV2 0.5x', '67.39', 'ShuffleNetV2_05x'],
  'shufflenetv2-1x': ['ShuffleNetV2 1x', '70.93', 'ShuffleNetV2_1x'],
};

const IMAGENET = {
  'imagenet-resnet18': ['ResNet-18', 'resnet18'],
  'imagenet-resnet34': ['ResNet-34', 'resnet34'],
  'imagenet-resnet50': ['ResNet-50', 'resnet50'],
  'imagenet-shufflenetv2-1x': ['ShuffleNetV2 1x', 'shufflenetv2_1x'],
};

const cifarData = `data:
  dataset: cifar100
  augmentation: { cropPadding: 4, horizontalFlip: true }
  # Two images per class in a batch, so that every anchor has a positive.
  sampler: { name: class-balanced, imagesPerClass: 2 }`;

const cifarTraining = `train:
  epochs: 300
  batchSize: 128
  optimizer: { learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.0005 }
  schedule: { name: cosine }`;

const imagenetData = (sampler) => `data:
  dataset: imagenet
  imageSize: 224
  augmentation: { resizedCrop: {}, horizontalFlip: true }${sampler}`;

const imagenetTraining = (epochs, milestones) => `train:
  epochs: ${epochs}
  batchSize: 256
  optimizer: { learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.0001 }
  schedule: { name: multi-step, milestones: [${milestones}], factor: 0.1 }`;

const weights = (hard, logit) =>
  `{ vcl: ${hard}, icl: ${hard}, softVcl: 1, softIcl: 1${logit === undefined ? '' : `, logit: ${logit}`} }`;

/** What the program for four networks shares, by the beginning of the model's name: in words, and as a topology. */
const SHARED = [
  ['resnet', 'the stem and the first of three stages (ResNet_b in models/resnet.py)', 1],
  ['wrn', 'the stem and the first of three stages (WideResNet_b in models/wrn.py)', 1],
  ['shufflenet', 'the stem and the first of three stages (ShuffleNetV2_b in models/shufflenetv2.py)', 1],
  [
    'hcgnet',
    'the stem, the first hybrid block and its transition (HCGNet_b in models/hcgnet.py); here, too, a stage ends with its transition',
    1,
  ],
  ['imagenet-resnet', 'the stem and the first two of four stages (ResNet_b in models/resnet_imagenet.py)', 2],
];

/** Notes and topology of a recipe; networks share layers only where there are four. */
function sharing(model, count) {
  if (count === 2) return { notes: [], topology: '' };
  const [, layers, stages] = SHARED.find(([beginning]) => model.startsWith(beginning));
  return {
    notes: [`With four networks, that program shares ${layers}.`],
    topology: `topology: { name: branches, sharedStages: ${stages} }\n`,
  };
}

function write({
  name,
  models,
  paper,
  published,
  alone,
  command,
  notes = [],
  topology = '',
  data,
  method,
  training,
}) {
  const titles = models.map((model) => (CIFAR[model] ?? IMAGENET[model])[0]);
  const isOfOneKind = new Set(titles).size === 1;
  const who = isOfOneKind
    ? `${models.length === 2 ? 'Two' : 'Four'} ${titles[0]} networks`
    : titles.join(' and ');
  const text = `# ${who}, trained by ${paper.title}.
# Published top-1 accuracy: ${published} percent; alone ${alone}. Source: ${paper.source}.
# Published command: ${command}
# Command here: \`npx cohort train recipes/published/${name}.yaml\`
# Not run here, so time and result are unknown.
${notes.map((note) => `# ${note}\n`).join('')}name: ${name}
${data}
networks:
${models.map((model) => `  - model: ${model}`).join('\n')}
${topology}${method}
${training}
`;
  writeFileSync(`${folder}${name}.yaml`, text);
}

const repeat = (model, count) => Array.from({ length: count }, () => model);

const mclMethod = (count, hasLogit, memory = '') => `method:
  name: mcl
  weights: ${weights(0.1, hasLogit ? 1 : 0)}
  temperature: 0.07${hasLogit && count > 2 ? '\n  # With four networks, the published program teaches only the last one from the ensemble.\n  logitStudents: last' : ''}${memory}`;

function mclOnCifar(model, count, published, hasLogit = false) {
  const [, alone, arch] = CIFAR[model];
  const { notes, topology } = sharing(model, count);
  write({
    name: `cifar100-mcl${hasLogit ? '-logit' : ''}-${model}-x${count}`,
    models: repeat(model, count),
    paper: MCL,
    published,
    alone,
    command: `python main_cifar.py --arch ${arch} --number-net ${count} --alpha 0.1 --gamma 1. --beta 0.1 --lam 1.${hasLogit ? ' --logit-distill' : ''}`,
    notes: ['The temperature is the default of that program.', ...notes],
    topology,
    data: cifarData,
    method: mclMethod(count, hasLogit),
    training: cifarTraining,
  });
}

function mclOnImagenet(model, count, published, alone, hasLogit = false) {
  const [, arch] = IMAGENET[model];
  const { notes, topology } = sharing(model, count);
  write({
    name: `imagenet-mcl${hasLogit ? '-logit' : ''}-${model.replace('imagenet-', '')}-x${count}`,
    models: repeat(model, count),
    paper: MCL,
    published,
    alone,
    command: `python main_imagenet.py --arch ${arch} --number-net ${count} --alpha 0.1 --gamma 1. --beta 0.1 --lam 1.${hasLogit ? ' --logit-distill' : ''} (the README names main_cifar.py, which has no ImageNet)`,
    notes: ['Temperature and memory bank are the defaults of that program.', ...notes],
    topology,
    data: imagenetData(''),
    method: mclMethod(count, hasLogit, '\n  memory: { positives: 1, negatives: 8192, bankMomentum: 0.5 }'),
    training: imagenetTraining(90, '30, 60'),
  });
}

function lmclOnCifar(models, published, arch) {
  const isPair = models[0] !== models[1];
  write({
    name: `cifar100-l-mcl-${isPair ? models.join('-') : `${models[0]}-x2`}`,
    models,
    paper: LMCL,
    published,
    alone: isPair ? models.map((model) => CIFAR[model][1]).join(' and ') : CIFAR[models[0]][1],
    command: `python main_layer_mcl_cifar_meta.py --arch ${arch}`,
    data: cifarData,
    method: `method:
  name: l-mcl
  weights: ${weights(0.1, 1)}
  temperature: 0.1
  meta: { intervalSteps: 50, innerSteps: 2 }`,
    training: cifarTraining,
  });
}

function lmclOnImagenet(models, published, alone, arch) {
  const short = models.map((model) => model.replace('imagenet-', ''));
  write({
    name: `imagenet-l-mcl-${models[0] === models[1] ? `${short[0]}-x2` : short.join('-')}`,
    models,
    paper: LMCL,
    published,
    alone,
    command: `python -m torch.distributed.launch --nproc_per_node=2 main_layer_mcl_imagenet_meta.py --arch ${arch}`,
    notes: [
      'Weights, temperature and meta step are the defaults of that program. It contrasts with 8,192 stored',
      'embeddings; here, l-mcl contrasts within the batch, which therefore has two images per class.',
      'The weight decay is that of the ImageNet program of MCL.',
    ],
    data: imagenetData('\n  sampler: { name: class-balanced, imagesPerClass: 2 }'),
    method: `method:
  name: l-mcl
  weights: ${weights(0.01, 1)}
  temperature: 0.07
  meta: { intervalSteps: 500, innerSteps: 2 }`,
    training: imagenetTraining(100, '30, 60, 90'),
  });
}

mkdirSync(folder, { recursive: true });

for (const [model, two, four] of [
  ['resnet32', '72.96 +- 0.28', '74.04 +- 0.07'],
  ['resnet56', '74.48 +- 0.23', '75.74 +- 0.16'],
  ['resnet110', '77.12 +- 0.20', '78.82 +- 0.14'],
  ['wrn-16-2', '74.56 +- 0.11', '75.79 +- 0.07'],
  ['wrn-40-2', '77.51 +- 0.42', '78.84 +- 0.22'],
  ['hcgnet-a1', '78.62 +- 0.26', '79.50 +- 0.15'],
  ['shufflenetv2-0.5x', '69.55 +- 0.22', '70.92 +- 0.28'],
  ['shufflenetv2-1x', '73.26 +- 0.18', '75.18 +- 0.25'],
]) {
  mclOnCifar(model, 2, two);
  mclOnCifar(model, 4, four);
}

for (const [model, published] of [
  ['wrn-16-2', '76.34 +- 0.22'],
  ['wrn-40-2', '80.02 +- 0.45'],
  ['wrn-28-4', '81.68 +- 0.31'],
  ['shufflenetv2-1x', '77.02 +- 0.32'],
  ['hcgnet-a2', '82.47 +- 0.20'],
]) {
  mclOnCifar(model, 4, published, true);
}

mclOnImagenet('imagenet-resnet18', 2, '70.32', '69.76');
mclOnImagenet('imagenet-resnet18', 4, '70.77', '69.76');
mclOnImagenet('imagenet-resnet34', 2, '74.13', '73.30');
mclOnImagenet('imagenet-resnet34', 4, '74.34', '73.30');
mclOnImagenet('imagenet-resnet18', 4, '70.82', '69.76', true);

for (const [model, published] of [
  ['resnet32', '75.82'],
  ['resnet56', '77.51'],
  ['resnet110', '79.48'],
  ['wrn-16-2', '77.31'],
  ['wrn-40-2', '80.96'],
  ['shufflenetv2-0.5x', '72.61'],
  ['shufflenetv2-1x', '77.25'],
  ['hcgnet-a1', '81.66'],
  ['hcgnet-a2', '83.14'],
]) {
  lmclOnCifar([model, model], published, `lmcl_${CIFAR[model][2]}_cifar`);
}

for (const [models, published, arch] of [
  [['resnet32', 'resnet110'], '75.82 and 79.71', 'lmcl_res32_res110_cifar'],
  [['resnet56', 'resnet110'], '77.04 and 79.56', 'lmcl_res56_res110_cifar'],
  [['wrn-16-2', 'wrn-40-2'], '76.88 and 80.24', 'lmcl_wrn_16_2_wrn_40_2_cifar'],
  [['wrn-40-2', 'wrn-28-4'], '80.42 and 82.61', 'lmcl_wrn_40_2_wrn_28_4_cifar'],
  [['resnet56', 'wrn-40-2'], '77.54 and 80.72', 'lmcl_res56_wrn_40_2_cifar'],
  [['resnet110', 'wrn-28-4'], '80.02 and 82.84', 'lmcl_res110_wrn_28_4_cifar'],
  [['shufflenetv2-1x', 'resnet110'], '76.85 and 79.17', 'lmcl_shufflev2_res110_cifar'],
  [['shufflenetv2-1x', 'wrn-40-2'], '77.06 and 80.29', 'lmcl_shufflev2_wrn_40_2_cifar'],
]) {
  lmclOnCifar(models, published, arch);
}

const [r18, r34, r50, shuffle] = Object.keys(IMAGENET);
lmclOnImagenet([r34, r34], '75.12', '73.68', 'lmcl_resnet34_imagenet');
lmclOnImagenet([r50, r50], '78.35', '76.28', 'lmcl_resnet50_imagenet');
lmclOnImagenet([shuffle, shuffle], '65.91', '64.25', 'lmcl_ShuffleNetV2_1x_imagenet');
lmclOnImagenet([shuffle, r18], '66.06 and 71.16', '64.25 and 69.95', 'lmcl_res18_shufflenetv2_1x_imagenet');
lmclOnImagenet([shuffle, r50], '66.44 and 76.57', '64.25 and 76.28', 'lmcl_res50_shufflenetv2_1x_imagenet');
lmclOnImagenet([r18, r50], '71.69 and 77.34', '69.95 and 76.28', 'lmcl_res18_res50_imagenet');
