/** Builds the native addon where it is out of date; returns its path. */
export function buildNative(environment?: NodeJS.ProcessEnv, buildFolder?: string): string;

/** The compiler refused; the message holds its words. */
export class NativeBuildError extends Error {}
