/** The library that seals, by itself: what it computes as it is loaded takes 10 MB, and only who has keys needs it. */
export { gcm } from "@noble/ciphers/aes.js";
