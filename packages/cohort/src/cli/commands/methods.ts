/** `cohort methods`: what a cohort can learn by, and the settings of each, from what their files say of them. */
import type { Command } from 'commander';
import { stringify } from 'yaml';
import type { MethodDefinition, MethodFacts } from '../../methods/definition.ts';
import type { MethodVariant } from '../../methods/registry.ts';
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
      const exitCode = await runCommand(environment, options, async () => {
        const { methodDefinitions, methodVariants } = await import('../../methods/registry.ts');
        const [known, labelled] = [methodDefinitions(), methodVariants()];
        const methods = known.map(({ name, facts }) => ({ name, ...facts }));
        const variants = [...labelled].map(([name, facts]) => ({ name, ...facts }));
        return { text: describeList(known, labelled), json: { methods, variants } };
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

interface FoundMethod {
  readonly facts: MethodFacts;
  /** What a recipe's method section says to get it. */
  readonly section: Readonly<Record<string, unknown>>;
  readonly settings: SettingDescription[];
}

/** Methods are loaded for this command alone: `cohort --help` is not to wait for them. */
async function findMethod(name: string): Promise<FoundMethod> {
  const { methodFacts, methodNames, methodSchema, methodVariants } =
    await import('../../methods/registry.ts');
  const { describeSettings, RecipeError } = await import('../../recipes/index.ts');
  const { valueAt } = await import('../../recipes/describe.ts');
  const variant = methodVariants().get(name);
  const method = variant?.method ?? name;
  const facts = methodFacts(method);
  const schema = methodSchema(method);
  if (facts !== undefined && schema !== undefined) {
    const { title, equation } = variant ?? facts;
    const section = { name: method, ...variant?.settings };
    const settings = describeSettings(schema, { name: method }).map((setting) => {
      const own = valueAt(section, setting.path.split('.'));
      return own === undefined ? setting : { ...setting, value: own };
    });
    return { facts: { ...facts, title, equation }, section, settings };
  }
  const names = [...methodNames(), ...methodVariants().keys()];
  const nearest = nearestName(name, names);
  const question = nearest === null ? '' : `Did you mean ${nearest}? `;
  throw new RecipeError('no such method', [], {
    operation: `method ${JSON.stringify(name)}`,
    remedy: `${question}The methods are ${names.join(', ')}.`,
  });
}

function describeList(
  methods: readonly MethodDefinition[],
  variants: ReadonlyMap<string, MethodVariant>,
): string {
  const rows = methods.map(({ name, facts: { topologies, minimumNetworks } }) => [
    name,
    topologies.join(', '),
    `${minimumNetworks}`,
  ]);
  const details = methods.flatMap(({ name, facts: { title, paper, equation } }) => [
    `${name}: ${title} (${paper})\n    ${equation}`,
    ...[...variants]
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
  facts: MethodFacts,
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
