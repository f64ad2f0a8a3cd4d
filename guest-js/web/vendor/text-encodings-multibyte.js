// The same with the tables of big5, euc-jp, euc-kr, gb18030, gbk, iso-2022-jp and shift_jis.
export { TextDecoder } from "@exodus/bytes/encoding.js";
