/** The text of `cohort --help`: complete, and made from the commands themselves so that it stays so. */
import type { Command, Help } from 'commander';
import { recipeNames } from '../recipes/folder.ts';

const EXAMPLES: readonly (readonly [command: string, meaning: string])[] = [
  ['cohort demo', 'train a pair of networks alone and together, and compare'],
  ['cohort train demo', 'a recipe of the recipes folder'],
  [
    'cohort train my.yaml train.epochs=20 networks.0.model=resnet20',
    'a recipe of your own, two settings changed',
  ],
  [
    'cohort train ./photos',
    'a folder of images, one sub-folder a class: a recipe is proposed, shown and trained',
  ],
  ["cohort train my.yaml 'method={ name: independent }'", 'a whole section replaced'],
  ["cohort train my.yaml 'method={ name: one }'", 'another method (cohort methods), with its own topology'],
  ['cohort train --resume runs/demo-20261124-093000', 'go on with a run that was stopped or killed'],
  [
    'cohort compare demo --methods independent,dml,mcl --seeds 5 --parallel 2',
    'methods with the same seeds: tables, intervals, plots; the same command goes on where it stopped',
  ],
  ['cohort evaluate runs/demo-20261124-093000', 'accuracy of a run'],
  ['cohort predict runs/demo-20261124-093000 shirt.png', 'what the networks see in an image'],
  [
    'cohort export runs/demo-20261124-093000 --precision float32,int8 --format transformers.js',
    'a network for Node, the browser and ONNX Runtime, checked on test images',
  ],
  ["cohort runs list --method mcl --best 'accuracy>85%'", 'runs by what they came to'],
  ['cohort runs export demo-20261124 --format csv --output demo.csv', 'metrics for a spreadsheet'],
  ['cohort data fetch emoji', 'a colour benchmark of 70 classes, from the npm registry'],
  ['cohort import resnet18.pth', 'weights of PyTorch for networks.0.weights of a recipe'],
  ['cohort bench --only mcl --threads 1', 'how long MCL steps take here, on one thread'],
  ['cohort doctor --json', 'for programs: one JSON object on the last line'],
];

const EXIT_CODE_TEXT: readonly (readonly [code: string, meaning: string])[] = [
  ['0', 'success'],
  ['1', 'failure: one message on stderr says what was wrong and what to do'],
  ['2', 'wrong usage of the command line'],
  ['130', 'stopped by Ctrl-C (the first stops at the next step with a checkpoint, the second at once)'],
  ['143', 'stopped by SIGTERM, in the same way'],
];

/** Usage, every command in full, recipes, examples, exit codes, environment. */
export function fullHelp(program: Command, help: Help, recipesFolder: string): string {
  const names = recipeNames(recipesFolder);
  const listed = names.length === 0 ? 'none yet' : names.join(', ');
  return [
    `Usage: ${help.commandUsage(program)}`,
    `\n${help.commandDescription(program)}`,
    section('Options', termRows(program, help)),
    ...program.commands.flatMap(leafCommands).map((command) => describeCommand(command, help)),
    section('Recipes', [
      `Recipes are YAML files; bare names are looked up in ${recipesFolder}`,
      `(${listed}).`,
      'Overrides are key=value: dotted paths, list indices from 0, YAML values.',
      'The resolved recipe, with every default, is written into the run folder.',
    ]),
    section('Examples', twoLines(EXAMPLES)),
    section(
      'Exit codes',
      EXIT_CODE_TEXT.map(([code, meaning]) => `${code.padEnd(4)} ${meaning}`),
    ),
    section('Environment', [
      'COHORT_DATA     folder to look for datasets in (COHORT_DATA/NAME), before the cache',
      'XDG_CACHE_HOME  folder of caches; datasets are fetched to XDG_CACHE_HOME/cohort (default ~/.cache/cohort)',
      'LIBTORCH        folder of LibTorch to build with (cohort setup; in the repository npm run setup)',
      'COHORT_ENGINE_CACHE  folder of built engines (default XDG_CACHE_HOME/cohort/engine)',
      'PYTHON          a Python with PyTorch, for cohort bench to compare with',
      'NO_COLOR        no colours',
      'CI              plain lines instead of a live line',
    ]),
    '',
  ].join('\n');
}

/** `data` itself does nothing: `data list`, `data check` and `data fetch` do. */
function leafCommands(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leafCommands);
}

function describeCommand(command: Command, help: Help): string {
  const rows = termRows(command, help).map((row) => `  ${row}`);
  const group = command.parent?.parent == null ? '' : `${command.parent.name()} `;
  return section(`cohort ${group}${help.subcommandTerm(command)}`, [command.description(), ...rows]);
}

/** A line for each argument and option. */
function termRows(command: Command, help: Help): string[] {
  const terms: [term: string, description: string][] = [
    ...help
      .visibleArguments(command)
      .map((item): [string, string] => [help.argumentTerm(item), help.argumentDescription(item)]),
    ...help
      .visibleOptions(command)
      .map((item): [string, string] => [help.optionTerm(item), help.optionDescription(item)]),
  ];
  const width = Math.max(0, ...terms.map(([term]) => term.length));
  return terms.map(([term, description]) => `${term.padEnd(width)}  ${description}`);
}

function twoLines(entries: readonly (readonly [string, string])[]): string[] {
  return entries.flatMap(([command, meaning]) => [command, `    ${meaning}`]);
}

function section(title: string, lines: readonly string[]): string {
  return [`\n${title}`, ...lines.map((line) => `  ${line}`)].join('\n');
}
