/**
 * Our side of a benchmark, a program of its own: sets up the work that its argument describes, says what it is, and answers
 * the same lines on standard input as benchmarks/reference/serve.py: `run N`, `memory`, `save FILE`, `profile N`, `quit`.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { engineInfo, setThreads, useDevice } from '@cohort-ml/torch';
import { profileSteps } from './profileSteps.ts';
import type { RunningWork } from './work/running.ts';
import { startWork } from './work/start.ts';
import type { Timing, WorkSpec } from './work.ts';

function answer(value: object): void {
  console.log(JSON.stringify(value));
}

/** Of this process alone; `maxRSS`, where the system does not tell, is the same with what Node.js rounds. */
function peakResidentBytes(): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

async function repeat(work: RunningWork, repetitions: number): Promise<Timing> {
  const ms: number[] = [];
  let values: Timing['values'] = {};
  for (let repetition = 0; repetition < repetitions; repetition += 1) {
    const begin = performance.now();
    values = await work.run();
    ms.push(performance.now() - begin);
  }
  return { ms, values };
}

async function serve(work: RunningWork): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const [command = '', argument = ''] = line.trim().split(/ (.*)/s);
    switch (command) {
      case 'run':
        answer(await repeat(work, Number(argument)));
        break;
      case 'memory':
        answer({ peakResidentBytes: peakResidentBytes() });
        break;
      case 'save':
        work.save?.(argument);
        answer({});
        break;
      case 'profile':
        answer(await profileSteps(work, Number(argument)));
        break;
      case 'quit':
        return;
      default:
        answer({ error: `expected 'run N', 'memory', 'save FILE', 'profile N' or 'quit', got '${line}'` });
    }
  }
}

const spec = JSON.parse(process.argv[2] ?? '{}') as WorkSpec;
setThreads(spec.threads);
useDevice(spec.device);
const work = await startWork(spec);
const { version, threads, cpuCapability } = engineInfo();
const { parameters, multiplyAdds } = work;
answer({ version: work.version ?? version, threads, capability: cpuCapability, parameters, multiplyAdds });
await serve(work);
// Readers of files may still hold the process open.
process.exit(0);
