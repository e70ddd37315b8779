/** `cohort methods`: what a cohort can learn by, and the settings of each, from the catalogue and the schemas alone. */
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { methodCatalogue, methodFacts, methodVariants } from '../../methods/catalogue.ts';
import { nearestName } from '../../support/nearestName.ts';
import type { SettingDescription } from '../../recipes/index.ts';
import type { CommonOptions } from '../command.ts';
import { runCommand, withCommonOptions } from '../command.ts';
import type { CliEnvironment } from '../environment.ts';
import { formatTable } from '../table.ts';

/** Adds the commands. */
export function addMethodsCommand(
  program: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  const methods = program.command('methods').description('the methods a cohort can learn with');
  methods.helpCommand(false);
  withCommonOptions(methods.command('list', { isDefault: true }))
    .description('list the methods with topology, paper and loss')
    .action(async (options: CommonOptions) => {
      const exitCode = await runCommand(environment, options, () => {
        const methods = Object.entries(methodCatalogue).map(([name, facts]) => ({ name, ...facts }));
        const variants = Object.entries(methodVariants).map(([name, facts]) => ({ name, ...facts }));
        return Promise.resolve({ text: describeList(), json: { methods, variants } });
      });
      setExitCode(exitCode);
    });
  withCommonOptions(methods.command('show'))
    .description('show a method: paper, loss, what it trains and keeps, and its settings with defaults')
    .argument('<name>', 'method name (see cohort methods)')
    .action(async (name: string, options: CommonOptions) => {
      const exitCode = await runCommand(environment, options, async () => {
        const { facts, settings, section } = await findMethod(name);
        const defaults = settings.map(({ path, value, accepts }) => ({ path, default: value, accepts }));
        return {
          text: describeMethod(name, facts, settings, section),
          json: { name, ...facts, section, settings: defaults },
        };
      });
      setExitCode(exitCode);
    });
}

type Facts = NonNullable<ReturnType<typeof methodFacts>>;

interface FoundMethod {
  readonly facts: Facts;
  /** What a recipe's method section says to get it. */
  readonly section: Readonly<Record<string, unknown>>;
  readonly settings: SettingDescription[];
}

/** Schemas are loaded for this command alone: `cohort --help` is not to wait for them. */
async function findMethod(name: string): Promise<FoundMethod> {
  const { methodSchemas } = await import('../../methods/settings.ts');
  const { describeSettings, RecipeError } = await import('../../recipes/index.ts');
  const { valueAt } = await import('../../recipes/describe.ts');
  const variant = Object.entries(methodVariants).find(([known]) => known === name)?.[1];
  const method = variant?.method ?? name;
  const facts = methodFacts(method);
  const schema = Object.entries(methodSchemas).find(([known]) => known === method)?.[1];
  if (facts !== undefined && schema !== undefined) {
    const { title, equation } = variant ?? facts;
    const section = { name: method, ...variant?.settings };
    const settings = describeSettings(schema, { name: method }).map((setting) => {
      const own = valueAt(section, setting.path.split('.'));
      return own === undefined ? setting : { ...setting, value: own };
    });
    return { facts: { ...facts, title, equation }, section, settings };
  }
  const names = [...Object.keys(methodCatalogue), ...Object.keys(methodVariants)];
  const nearest = nearestName(name, names);
  const question = nearest === null ? '' : ` Did you mean ${nearest}?`;
  throw new RecipeError(
    `method ${JSON.stringify(name)}: no such method.${question} The methods are ${names.join(', ')}.`,
  );
}

function describeList(): string {
  const entries = Object.entries(methodCatalogue);
  const rows = entries.map(([name, { topologies, minimumNetworks }]) => [
    name,
    topologies.join(', '),
    `${minimumNetworks}`,
  ]);
  const details = entries.flatMap(([name, { title, paper, equation }]) => [
    `${name}: ${title} (${paper})\n    ${equation}`,
    ...Object.entries(methodVariants)
      .filter(([, { method }]) => method === name)
      .map(([label, variant]) => `  ${label}: ${variant.title}\n    ${variant.equation}`),
  ]);
  const table = formatTable(['method', 'topology, default first', 'networks from'], rows);
  const legend = 'CE cross-entropy, KL softened by T and times T^2, p probabilities, z logits.';
  const how =
    "Indented names are variants for cohort compare; cohort methods show NAME prints a method's settings and how to write them.";
  return `${table}\n\n${details.join('\n')}\n\n${legend}\n${how}`;
}

function describeMethod(
  name: string,
  facts: Facts,
  settings: readonly SettingDescription[],
  section: FoundMethod['section'],
): string {
  const { title, paper, equation, topologies, minimumNetworks, training, deployed } = facts;
  const lines = [
    `${name}: ${title}`,
    `recipe    method: ${stringify(section, { collectionStyle: 'flow', lineWidth: 0 }).trim()}`,
    `paper     ${paper}`,
    `loss      ${equation}`,
    `topology  ${topologies.join(', ')}${topologies.length > 1 ? ' (the first unless the recipe names one)' : ''}`,
    `networks  ${minimumNetworks} or more`,
    `training  besides the networks: ${training}`,
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
