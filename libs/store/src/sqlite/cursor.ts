// Page cursors: opaque to callers, checked when they come back.
import { KeylineError } from '@keyline/kernel';

export function encodeCursor(list: string, position: string): string {
  return Buffer.from(`${list}\n${position}`, 'utf8').toString('base64url');
}

/** @throws {KeylineError} REQUEST_INVALID */
export function decodeCursor(list: string, cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  const [name, position, ...rest] = text.split('\n');
  if (name !== list || position === undefined || rest.length > 0) {
    throw new KeylineError(
      'REQUEST_INVALID',
      'The cursor is not one of this list. Give back nextCursor of the page before as it was, or leave it out to begin.',
    );
  }
  return position;
}
