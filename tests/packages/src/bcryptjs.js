import bcrypt from "bcryptjs";

export default {
  async fetch(request) {
    const hash = bcrypt.hashSync("secret", "$2b$04$abcdefghijklmnopqrstuu");
    return Response.json({ hash, good: await bcrypt.compare("secret", hash), bad: bcrypt.compareSync("Secret", hash), salt: /^\$2b\$04\$.{22}$/.test(await bcrypt.genSalt(4)) });
  },
};
