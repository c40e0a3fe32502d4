/** Levels of log lines, as `--log-level` takes them and as `level` in each line says them; the first says the most. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
