/** `cohort doctor`: what this machine offers to training, and what would make it better. */
import type { Command } from 'commander';
import type { CommonOptions } from '../command.ts';
import { runCommand, withCommonOptions } from '../command.ts';
import type { Diagnosis } from '../../doctor/doctor.ts';
import type { CliEnvironment } from '../environment.ts';
import { EXIT_CODES } from '../failures.ts';

/** Adds the command. */
export function addDoctorCommand(
  program: Command,
  environment: CliEnvironment,
  setExitCode: (code: number) => void,
): void {
  withCommonOptions(program.command('doctor'))
    .description('show LibTorch, CPU features, threads, BLAS and CUDA, and what to improve')
    .action(async (options: CommonOptions) => {
      const exitCode = await runCommand(environment, options, async () => {
        const diagnosis = await environment.actions.diagnose();
        const hasFailed = diagnosis.checks.some((check) => check.status === 'fail');
        return {
          text: describeDiagnosis(diagnosis),
          json: diagnosis,
          exitCode: hasFailed ? EXIT_CODES.failure : EXIT_CODES.ok,
        };
      });
      setExitCode(exitCode);
    });
}

function describeDiagnosis({ checks }: Diagnosis): string {
  const width = Math.max(0, ...checks.map((check) => check.name.length));
  return checks
    .flatMap(({ name, status, value, advice }) => [
      `${status.padEnd(4)}  ${name.padEnd(width)}  ${value}`,
      ...(advice === undefined ? [] : [`${' '.repeat(width + 8)}${advice}`]),
    ])
    .join('\n');
}
