export { openAuthorityKeys, type AuthorityKeys } from './authority-keys.ts';
export { decryptPrivateKey, encryptPrivateKey } from './encrypted-key.ts';
export { generateKey } from './generate-key.ts';
export {
  loadEncryptedKey,
  loadPassphraseFile,
  loadPlainKey,
  takeUpKeyFile,
  writeKeyFile,
} from './key-file.ts';
export { encodePkcs12, type Pkcs12Form } from './pkcs12.ts';
export { promptPassphrase } from './prompt-passphrase.ts';
export { createSigner } from './signer.ts';
