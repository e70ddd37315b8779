/** A program under measurement: a process of its own that does one piece of work and answers a line of JSON a command. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import { BenchError } from './errors.ts';
import type { AboutWork, Timing } from './work.ts';

/** How a program is started. */
export interface ProgramStart {
  readonly command: string;
  readonly args: readonly string[];
  /** Added to this process's own. */
  readonly variables: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** The last words of a program that failed are enough. */
const keptErrorCharacters = 4000;

/** One running program. */
export class Program {
  readonly #name: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  #errors = '';
  #failure: Error | undefined;
  /** Lines that were no answers since they were last taken, e.g. oneDNN's own words. */
  #others: string[] = [];

  constructor(name: string, { command, args, variables, signal }: ProgramStart) {
    this.#name = name;
    this.#child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...variables },
      signal,
    });
    this.#child.on('error', (error) => (this.#failure = error));
    // A program that has ended cannot be written to; its end is told by the answer that does not come.
    this.#child.stdin.on('error', () => undefined);
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-keptErrorCharacters);
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** What the program says when it is ready. @throws {BenchError} when it fails. */
  async about(): Promise<AboutWork> {
    return (await this.#answer('start')) as AboutWork;
  }

  /** Repeats the work. @throws {BenchError} when the program fails. */
  async run(repetitions: number): Promise<Timing> {
    return (await this.ask(`run ${repetitions}`)) as Timing;
  }

  /** Peak of its resident memory so far. @throws {BenchError} when the program fails. */
  async peakResidentBytes(): Promise<number> {
    return ((await this.ask('memory')) as { peakResidentBytes: number }).peakResidentBytes;
  }

  /** The answer to any command. @throws {BenchError} when the program fails or refuses it. */
  async ask(command: string): Promise<unknown> {
    this.#child.stdin.write(`${command}\n`);
    return this.#answer(command);
  }

  /** Lines other than answers since the last time. */
  takeOtherLines(): string[] {
    return this.#others.splice(0);
  }

  /** Ends it and waits until it is gone, so that it does not disturb the next one. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined)
      return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin.end('quit\n');
    const patience = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await gone;
    clearTimeout(patience);
  }

  async #answer(command: string): Promise<unknown> {
    for (;;) {
      const next = await this.#lines.next();
      if (next.done === true) throw this.#ended(command);
      const { value } = next;
      if (!value.startsWith('{')) {
        this.#others.push(value);
        continue;
      }
      const answer: unknown = JSON.parse(value);
      if (typeof answer === 'object' && answer !== null && 'error' in answer) {
        throw new BenchError(this.#name, `an answer to '${command}'`, 'an error', String(answer.error));
      }
      return answer;
    }
  }

  #ended(command: string): Error {
    if (this.#failure?.name === 'AbortError') return this.#failure;
    const { signalCode } = this.#child;
    const words = this.#errors.trim().split('\n').slice(-8).join('\n');
    const end = signalCode === null ? 'its end' : `its end by ${signalCode}`;
    const said = this.#failure?.message ?? words;
    return new BenchError(
      this.#name,
      `an answer to '${command}'`,
      end,
      said === ''
        ? 'It said nothing; where memory is short, the system ends programs in this way.'
        : `Its last words:\n${said}`,
    );
  }
}
