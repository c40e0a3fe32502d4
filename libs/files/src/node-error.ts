/** Whether it is an error of the operating system or of Node with this code: `ENOENT`, `ERR_ACCESS_DENIED`. */
export function isNodeError(error: unknown, ...codes: readonly string[]): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return error instanceof Error && typeof code === 'string' && codes.includes(code);
}
