import CryptoJS from "crypto-js";

export default {
  async fetch(request) {
    return Response.json({ sha: CryptoJS.SHA256("hello").toString(), hmac: CryptoJS.HmacSHA1("a", "b").toString(CryptoJS.enc.Base64), aes: CryptoJS.AES.decrypt(CryptoJS.AES.encrypt("text", "key").toString(), "key").toString(CryptoJS.enc.Utf8) });
  },
};
