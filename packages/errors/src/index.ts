/** The error base of all packages, and how to read errors of any kind. */
export { CohortError, type CohortErrorOptions, type ErrorParts } from './cohortError.ts';
export { asSentence, errorCode, errorText, fileErrorReason, isNothingThere } from './thrown.ts';
