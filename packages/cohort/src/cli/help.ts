/** The text of `cohort --help`: one screen, with the details of each command left to `cohort COMMAND --help`. */
import type { Command, Help } from 'commander';
import { recipeNames } from '../recipes/folder.ts';

/** The commands of each group, with a line each. */
const GROUPS: readonly (readonly [title: string, commands: readonly (readonly [string, string])[]])[] = [
  [
    'Train and use',
    [
      ['train', 'train a recipe, or one proposed for a folder of images'],
      ['pretrain', 'learn from pictures without labels'],
      ['launch', 'train on several processes or hosts'],
      ['evaluate', "measure a run's networks on its images or on others"],
      ['predict', "classify images with a run's networks"],
      ['export', 'write networks as ONNX, for the browser or PyTorch'],
      ['demo', 'train two networks alone and together on Fashion-MNIST'],
    ],
  ],
  [
    'Compare',
    [
      ['compare', 'train a recipe with several methods and report the differences'],
      ['ablate', 'measure what each part of MCL and L-MCL contributes'],
      ['probe', 'measure what the features of runs are worth on other images'],
    ],
  ],
  [
    'Manage',
    [
      ['dashboard', 'show runs in the browser, live'],
      ['setup', 'build the engine for this machine'],
      ['runs', 'list, show, rename, delete and export runs'],
      ['data', 'list, check and fetch datasets'],
      ['import', 'convert PyTorch or safetensors weights'],
      ['weights', 'trained networks to start from'],
    ],
  ],
  [
    'Look up',
    [
      ['methods', 'the methods a cohort can learn with, and their settings'],
      ['models', 'the architectures, with parameters and multiply-adds'],
      ['doctor', 'check LibTorch, CPU, threads and memory'],
      ['bench', 'time training steps, losses and data loading'],
    ],
  ],
];

const EXAMPLES: readonly (readonly [command: string, meaning: string])[] = [
  ['cohort train ./photos', 'one sub-folder per class'],
  ['cohort compare demo --seeds 3', 'is learning together better?'],
  ['cohort train --resume runs/demo-20261124-093000', 'resume an interrupted run'],
];

/** The commands of a program that no group names are listed last, so that none is ever missing. */
export function shortHelp(program: Command, help: Help): string {
  const grouped = new Set(GROUPS.flatMap(([, commands]) => commands.map(([name]) => name)));
  const others = help
    .visibleCommands(program)
    .filter((command) => !grouped.has(command.name()))
    .map((command) => [command.name(), command.description()] as const);
  const groups = others.length === 0 ? GROUPS : [...GROUPS, ['Other', others] as const];
  return [
    `Usage: ${help.commandUsage(program)}\n\n${help.commandDescription(program)}`,
    ...groups.map(([title, commands]) => section(title, commands)),
    section('Examples', EXAMPLES),
    'Options, examples and exit codes: cohort COMMAND --help\n',
  ].join('\n\n');
}

/** What `cohort train --help` says after the options. */
export function trainNotes(recipesFolder: string): string {
  const names = recipeNames(recipesFolder);
  return notes([
    [
      'Recipes',
      [
        `Bare names are looked up in ${recipesFolder}`,
        `(${names.length === 0 ? 'none yet' : names.join(', ')}).`,
        'Overrides are key=value: dotted paths, list indices from 0, YAML values.',
        'The resolved recipe, with every default, is written to the run folder.',
      ],
    ],
    [
      'Examples',
      [
        'cohort train demo',
        'cohort train my.yaml train.epochs=20 networks.0.model=resnet20',
        "cohort train my.yaml 'method={ name: independent }'",
        'cohort train ./photos --save-recipe photos.yaml',
        'cohort train --resume runs/demo-20261124-093000',
      ],
    ],
    COMMON_NOTES,
    [
      'Environment',
      [
        'COHORT_DATA     folder to look for datasets in (COHORT_DATA/NAME), before the cache',
        'XDG_CACHE_HOME  folder for caches; datasets go to XDG_CACHE_HOME/cohort (default ~/.cache/cohort)',
        'NO_COLOR        no colours',
        'CI              plain lines instead of a live display',
      ],
    ],
  ]);
}

/**
 * What the help of every other command says after the options.
 * @param command with the group that it belongs to: `runs list`
 */
export function commandNotes(command: string): string {
  const examples = COMMAND_EXAMPLES[command];
  return notes([...(examples === undefined ? [] : [['Examples', examples] as const]), COMMON_NOTES]);
}

const COMMAND_EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  pretrain: [
    'cohort pretrain ./photos',
    'cohort pretrain ./photos method.name=simclr-mcl train.epochs=100',
    'cohort pretrain ./photos --then-train train.epochs=50',
    'cohort train ./photos networks.0.weights=runs/photos-pretraining-20261129-093000',
  ],
  launch: [
    'cohort launch --nproc 2 train demo',
    'cohort launch --nproc 2 --dry-run train demo',
    'cohort launch --nproc 2 --max-restarts 3 train --resume runs/demo-20261124-093000',
    'srun cohort launch train demo    (one rank for each task)',
  ],
  compare: ['cohort compare demo --methods independent,dml,mcl --seeds 5 --parallel 2'],
  evaluate: [
    'cohort evaluate demo-20261124-093000',
    'cohort evaluate runs/mine --data ./photos --confusion c.svg',
  ],
  predict: ['cohort predict runs/demo-20261124-093000 shirt.png'],
  'runs list': ["cohort runs list --method mcl --best 'accuracy>85%'"],
  export: [
    'cohort export demo-20261124 --page',
    'cohort export demo-20261124 --network all --precision float32,int8',
    'cohort export runs/mine --format transformers.js --out ./my-model',
  ],
  'runs export': ['cohort runs export demo-20261124 --format csv --output demo.csv'],
  dashboard: ['cohort dashboard --open', 'cohort dashboard --export runs.html --select demo-20261124'],
  probe: ['cohort probe demo-20261124 --data ./photos --by linear,neighbours'],
  'data fetch': ['cohort data fetch emoji'],
  import: ['cohort import resnet18.pth'],
  bench: ['cohort bench --only mcl --threads 1'],
};

const COMMON_NOTES = [
  'Exit codes',
  [
    '0    success',
    '1    failure: a message on stderr says what is wrong and what to do',
    '2    wrong usage of the command line',
    '130  stopped by Ctrl-C (first press: after this step; second: at once)',
    '143  stopped by SIGTERM, in the same way',
  ],
] as const;

function notes(sections: readonly (readonly [title: string, lines: readonly string[]])[]): string {
  return sections
    .map(([title, lines]) => `\n${title}:\n${lines.map((line) => `  ${line}`).join('\n')}`)
    .join('\n');
}

function section(title: string, rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(10, ...rows.map(([name]) => name.length));
  return [`${title}:`, ...rows.map(([name, meaning]) => `  ${name.padEnd(width)}  ${meaning}`)].join('\n');
}
