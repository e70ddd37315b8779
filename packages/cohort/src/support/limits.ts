/** Limits that several readers of files share. */

/** Bytes that Node reads from a file in one call, and so the largest file that is read in one piece: 2 GiB less one byte. */
export const LARGEST_FILE_IN_ONE_PIECE = 2 ** 31 - 1;
