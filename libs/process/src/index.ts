export { endLeftover } from './end-leftover.ts';
export { lockFolder, type FolderLock } from './folder-lock.ts';
export { defaultRestartPaces, KeepRunning } from './keep-running.ts';
export { openLogDestination } from './log-destination.ts';
export { awaitReady, sayReady, takeBackReady } from './ready-file.ts';
export type { LogBounds } from './rotating-file.ts';
export { RunningProcess, type Ending } from './running-process.ts';
export { defaultLogBounds, ServiceLog } from './service-log.ts';
export { onStopSignals, untilAborted } from './stop-signals.ts';
