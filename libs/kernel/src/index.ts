export * from './clock.ts';
export * from './duration.ts';
export * from './errors.ts';
export * from './ids.ts';
export * from './lost-reader.ts';
export * from './printable.ts';
export * from './secret.ts';
export * from './secret-file.ts';
