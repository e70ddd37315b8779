/** `cohort methods`: what a cohort can learn by, and the settings of each, from the catalogue and the schemas alone. */
import type { Command } from 'commander';
import { methodCatalogue, methodFacts } from '../methods/catalogue.ts';
import { nearestName } from '../nearestName.ts';
import type { SettingDescription } from '../recipes/index.ts';
import type { CommonOptions } from './command.ts';
import { runCommand, withCommonOptions } from './command.ts';
import type { CliEnvironment } from './environment.ts';
import { formatTable } from './table.ts';

/** Adds the commands. */
export function addMethodsCommand(
  program: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  const methods = program.command('methods').description('the methods that a cohort can learn by');
  methods.helpCommand(false);
  withCommonOptions(methods.command('list', { isDefault: true }))
    .description('list the methods with topology, paper and loss')
    .action(async (options: CommonOptions) => {
      const exitCode = await runCommand(environment, options, () => {
        const all = Object.entries(methodCatalogue).map(([name, facts]) => ({ name, ...facts }));
        return Promise.resolve({ text: describeList(), json: { methods: all } });
      });
      setExitCode(exitCode);
    });
  withCommonOptions(methods.command('show'))
    .description('show a method: paper, loss, what is trained and kept, and its settings with defaults')
    .argument('<name>', 'name of a method (cohort methods)')
    .action(async (name: string, options: CommonOptions) => {
      const exitCode = await runCommand(environment, options, async () => {
        const { facts, settings } = await findMethod(name);
        const defaults = settings.map(({ path, value, accepts }) => ({ path, default: value, accepts }));
        return {
          text: describeMethod(name, facts, settings),
          json: { name, ...facts, settings: defaults },
        };
      });
      setExitCode(exitCode);
    });
}

type Facts = NonNullable<ReturnType<typeof methodFacts>>;

/** Schemas are loaded for this command alone: `cohort --help` is not to wait for them. */
async function findMethod(name: string): Promise<{ facts: Facts; settings: SettingDescription[] }> {
  const { methodSchemas } = await import('../methods/settings.ts');
  const { describeSettings, RecipeError } = await import('../recipes/index.ts');
  const facts = methodFacts(name);
  const schema = Object.entries(methodSchemas).find(([known]) => known === name)?.[1];
  if (facts !== undefined && schema !== undefined) {
    return { facts, settings: describeSettings(schema, { name }) };
  }
  const names = Object.keys(methodCatalogue);
  const nearest = nearestName(name, names);
  const question = nearest === null ? '' : ` Did you mean ${nearest}?`;
  throw new RecipeError(
    `method ${JSON.stringify(name)}: expected the name of a method, came an unknown name.${question} The methods are ${names.join(', ')}.`,
  );
}

function describeList(): string {
  const entries = Object.entries(methodCatalogue);
  const rows = entries.map(([name, { topologies, minimumNetworks }]) => [
    name,
    topologies.join(', '),
    `${minimumNetworks}`,
  ]);
  const details = entries.map(
    ([name, { title, paper, equation }]) => `${name}: ${title} (${paper})\n    ${equation}`,
  );
  const table = formatTable(['method', 'topology, default first', 'networks from'], rows);
  const legend = 'CE cross-entropy, KL softened by T and times T^2, p probabilities, z logits.';
  return `${table}\n\n${details.join('\n')}\n\n${legend} Settings: cohort methods show NAME.`;
}

function describeMethod(name: string, facts: Facts, settings: readonly SettingDescription[]): string {
  const { title, paper, equation, topologies, minimumNetworks, training, deployed } = facts;
  const lines = [
    `${name}: ${title}`,
    `paper     ${paper}`,
    `loss      ${equation}`,
    `topology  ${topologies.join(', ')}${topologies.length > 1 ? ' (the first unless the recipe names one)' : ''}`,
    `networks  ${minimumNetworks} or more`,
    `training  beside the networks: ${training}`,
    `kept      ${deployed}`,
  ];
  if (settings.length === 0) return [...lines, '', 'It has no settings.'].join('\n');
  const width = Math.max(...settings.map(({ path }) => path.length));
  const valueWidth = Math.max(...settings.map(({ value }) => JSON.stringify(value).length));
  const rows = settings.map(
    ({ path, value, accepts }) =>
      `${path.padEnd(width)}  ${JSON.stringify(value).padEnd(valueWidth)}  ${accepts}`,
  );
  return [...lines, '', 'Settings below method in a recipe, with defaults:', ...rows].join('\n');
}
