/** `cohort dashboard`: shows a folder of runs in the browser, or writes what it shows to a file. */
import { spawn } from 'node:child_process';
import { InvalidArgumentError, type Command } from 'commander';
import { runCommand, withCommonOptions, type CommandOutcome, type CommonOptions } from '../command.ts';
import type { CallOptions } from '../contracts.ts';
import type { CliEnvironment } from '../environment.ts';
import { UsageError } from '../failures.ts';
import { withRunsFolder, type RunsOptions } from './runs/options.ts';

/** Taken unless --port says otherwise, so that bookmarks last; any free one where it is taken. */
export const USUAL_PORT = 4664;

interface DashboardCommandOptions extends CommonOptions, RunsOptions {
  readonly port?: number;
  readonly host: string;
  readonly token?: string | true;
  readonly edit?: true;
  readonly open?: true;
  readonly export?: string;
  readonly select?: readonly string[];
}

/** Adds the command. */
export function addDashboardCommand(
  program: Command,
  environment: CliEnvironment,
  version: string,
  setExitCode: (code: number) => void,
): void {
  withRunsFolder(withCommonOptions(program.command('dashboard')))
    .description(
      'show runs in the browser: live curves, comparisons, what the networks see; or export them as HTML',
    )
    .option(
      '--port <number>',
      `port to listen on; 0 for any free one (default: ${USUAL_PORT} if it is free)`,
      parsePort,
    )
    .option('--host <address>', 'address to listen on; any but loopback needs --token', '127.0.0.1')
    .option('--token [token]', 'ask for a token, which the printed address holds (left out: a random one)')
    .option('--edit', 'allow renaming, notes, tags, archiving and deletion of runs; read-only otherwise')
    .option('--open', 'open the browser')
    .option('--export <path>', 'write the pages to one HTML file (*.html) or a folder instead')
    .option('--select <runs...>', 'with --export: only runs and comparisons whose folders begin like this')
    .action(async (options: DashboardCommandOptions) => {
      const exitCode = await runCommand(
        environment,
        options,
        (call) =>
          options.export === undefined
            ? serve(options, call, version)
            : exportPages(options, options.export, version),
        { stopping: null },
      );
      setExitCode(exitCode);
    });
}

async function serve(
  options: DashboardCommandOptions,
  { signal, reporter }: CallOptions,
  version: string,
): Promise<CommandOutcome> {
  if (options.select !== undefined) throw new UsageError('--select requires --export.');
  const { isLoopback, makeToken } = await import('@cohort-ml/dashboard');
  const { host } = options;
  const given = options.token === true ? makeToken() : (options.token ?? null);
  if (given !== null && given.length < 16) {
    throw new UsageError(
      '--token: a token of fewer than 16 characters can be guessed. Leave it out to get a random one.',
    );
  }
  if (!isLoopback(host) && given === null) {
    throw new UsageError(`--host ${host} requires --token: everybody on the network could read the runs.`);
  }
  const dashboard = await start(options, given, version);
  reporter.message(`dashboard of ${options.runs}: ${dashboard.url}`);
  process.send?.({ url: dashboard.url });
  if (options.open === true) openBrowser(dashboard.url);
  await untilStopped(signal);
  await dashboard.close();
  return { text: null, json: { status: 'stopped', url: dashboard.url } };
}

async function start(
  options: DashboardCommandOptions,
  token: string | null,
  version: string,
): Promise<{ url: string; close: () => Promise<void> }> {
  const [{ startDashboard }, { dashboardKnowledge }] = await Promise.all([
    import('@cohort-ml/dashboard'),
    import('../dashboardKnowledge.ts'),
  ]);
  const listen = (port: number): ReturnType<typeof startDashboard> =>
    startDashboard({
      ...{ port, token, version },
      root: options.runs,
      host: options.host,
      canEdit: options.edit === true,
      knowledge: dashboardKnowledge(),
    });
  if (options.port !== undefined) return listen(options.port);
  try {
    return await listen(USUAL_PORT);
  } catch (error) {
    const isTaken = error instanceof Error && error.cause instanceof Error && 'code' in error.cause;
    if (!isTaken || (error.cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    return listen(0);
  }
}

async function exportPages(
  { runs, select = [] }: DashboardCommandOptions,
  target: string,
  version: string,
): Promise<CommandOutcome> {
  const [{ exportDashboard }, { dashboardKnowledge }] = await Promise.all([
    import('@cohort-ml/dashboard'),
    import('../dashboardKnowledge.ts'),
  ]);
  const knowledge = dashboardKnowledge();
  const written = await exportDashboard({ root: runs, target, select, version, knowledge });
  const megabytes = (written.bytes / 1e6).toFixed(1);
  const rest =
    written.leftOut > 0 ? `; ${written.leftOut} older runs were left out, choose with --select` : '';
  return { text: `wrote ${written.runs} runs to ${written.path} (${megabytes} MB)${rest}`, json: written };
}

/** Until Ctrl-C, or until the training is gone that started the dashboard. */
function untilStopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      clearInterval(alive);
      resolve();
    };
    // Servers whose sockets are idle keep a process alive; this keeps it where there is none.
    const alive = setInterval(() => undefined, 60_000);
    signal.addEventListener('abort', stop, { once: true });
    if (process.connected) process.once('disconnect', stop);
  });
}

function openBrowser(url: string): void {
  const commands: Partial<Record<NodeJS.Platform, readonly string[]>> = {
    darwin: ['open'],
    win32: ['cmd', '/c', 'start', ''],
  };
  const [program = 'xdg-open', ...parts] = commands[process.platform] ?? ['xdg-open'];
  const child = spawn(program, [...parts, url], { stdio: 'ignore', detached: true });
  // The address is printed in any case.
  child.on('error', () => undefined);
  child.unref();
}

function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new InvalidArgumentError('Expected a port from 0 to 65535.');
}
