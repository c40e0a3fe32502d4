// What becomes of a process when nobody reads its output any more: a pipe to `head`, a terminal that was closed.

interface Output {
  readonly isTTY?: boolean | undefined;
  on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
}

/**
 * A reader that went away is the end of the output, not an error: without this, Node ends the process in the middle of what it does. On
 * stdout any other failure (a full disk) is still thrown; of stderr's there is nobody left to tell.
 */
export function outliveReaders(process: {
  readonly stdout: Output;
  readonly stderr: Output;
}): void {
  const { stdout, stderr } = process;
  stdout.on('error', (error) => {
    // A closed terminal answers EIO, as a failing disk does.
    const isGone = error.code === 'EPIPE' || (error.code === 'EIO' && stdout.isTTY === true);
    if (!isGone) throw error;
  });
  stderr.on('error', () => undefined);
}
