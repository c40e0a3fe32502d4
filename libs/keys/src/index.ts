export * from './authority-keys.ts';
export * from './encrypted-key.ts';
export * from './generate-key.ts';
export * from './key-file.ts';
export * from './prompt-passphrase.ts';
export * from './signer.ts';
