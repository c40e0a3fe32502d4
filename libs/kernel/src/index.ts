export { FakeClock, formatInstant, systemClock, type Clock, type Instant } from './clock.ts';
export { commandNamer } from './command-name.ts';
export { Duration, encodeDuration, formatDuration, parseDuration } from './duration.ts';
export { errorDocument, usageErrorOf } from './error-document.ts';
export { isKeylineError, KeylineError, messageOf, type ErrorCode } from './errors.ts';
export { describeExitCodes, exitCodeMeanings, exitCodeOf, exitCodes } from './exit-code.ts';
export {
  createId,
  isDeviceId,
  parseDeviceId,
  parseSerialHex,
  type DeviceId,
  type SerialHex,
} from './ids.ts';
export { logLevels } from './log-level.ts';
export { outliveReaders } from './lost-reader.ts';
export { escapeLine, escapeUnprintable } from './printable.ts';
export { assertPrivate, quoteForShell } from './secret-file.ts';
export { Secret } from './secret.ts';
export { drawServicePort } from './service-port.ts';
export { version } from './version.ts';
