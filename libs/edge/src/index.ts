export { FairShare } from './fair-share.ts';
export { peerKeyOf } from './peer-key.ts';
