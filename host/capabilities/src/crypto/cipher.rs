//! Encryption and key wrapping with AES: CBC, CTR, GCM and KW.

use super::types::{Bytes, Cipher, Ctr, ErrorCode, Gcm, Secret};
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::consts::{U8, U12, U16, U24, U32, U64};
use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockDecryptMut, BlockEncrypt, BlockEncryptMut, KeyInit, KeyIvInit};
use aes::{Aes128, Aes192, Aes256};
use aes_gcm::aead::AeadInPlace;
use aes_gcm::{AesGcm, Tag};
use aes_kw::Kek;
use subtle::ConstantTimeEq;

/// Whether to encrypt or to decrypt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Encrypt,
    Decrypt,
}

/// Runs `$body` with `$A` as AES with keys as long as `$key`.
macro_rules! with_aes {
    ($key:expr, $A:ident => $body:expr) => {
        match $key.len() {
            16 => {
                type $A = Aes128;
                $body
            }
            24 => {
                type $A = Aes192;
                $body
            }
            32 => {
                type $A = Aes256;
                $body
            }
            _ => Err(ErrorCode::InvalidKey),
        }
    };
}

/// Bytes that are reckoned with beside the data.
pub(super) fn extra_bytes(cipher: &Cipher) -> usize {
    if let Cipher::Gcm(gcm) = cipher { gcm.additional_data.len() } else { 0 }
}

/// Encrypts or decrypts.
pub(super) fn run(direction: Direction, cipher: &Cipher, key: &Secret, data: Vec<u8>) -> Bytes {
    match cipher {
        Cipher::Gcm(gcm) => with_aes!(key, A => match gcm.iv.len() {
            8 => run_gcm::<AesGcm<A, U8>, U8>(direction, gcm, key, data),
            12 => run_gcm::<AesGcm<A, U12>, U12>(direction, gcm, key, data),
            16 => run_gcm::<AesGcm<A, U16>, U16>(direction, gcm, key, data),
            24 => run_gcm::<AesGcm<A, U24>, U24>(direction, gcm, key, data),
            32 => run_gcm::<AesGcm<A, U32>, U32>(direction, gcm, key, data),
            64 => run_gcm::<AesGcm<A, U64>, U64>(direction, gcm, key, data),
            _ => Err(ErrorCode::Unsupported),
        }),
        Cipher::Cbc(iv) => with_aes!(key, A => match direction {
            Direction::Encrypt => cbc::Encryptor::<A>::new_from_slices(key, iv)
                .map(|cbc| cbc.encrypt_padded_vec_mut::<Pkcs7>(&data))
                .map_err(|_| ErrorCode::Unsupported),
            Direction::Decrypt => cbc::Decryptor::<A>::new_from_slices(key, iv)
                .map_err(|_| ErrorCode::Unsupported)?
                .decrypt_padded_vec_mut::<Pkcs7>(&data)
                .map_err(|_| ErrorCode::InvalidData),
        }),
        Cipher::Ctr(ctr) => {
            with_aes!(key, A => run_ctr(&<A as KeyInit>::new(GenericArray::from_slice(key)), ctr, data))
        }
        Cipher::Kw => with_aes!(key, A => {
            let kek = Kek::<A>::new(GenericArray::from_slice(key));
            let done = if direction == Direction::Encrypt { kek.wrap_vec(&data) } else { kek.unwrap_vec(&data) };
            done.map_err(|_| ErrorCode::InvalidData)
        }),
    }
}

fn run_gcm<A, N>(direction: Direction, gcm: &Gcm, key: &Secret, mut data: Vec<u8>) -> Bytes
where
    A: AeadInPlace<NonceSize = N, TagSize = U16> + KeyInit,
    N: aes::cipher::generic_array::ArrayLength<u8>,
{
    if !matches!(gcm.tag_bits, 32 | 64 | 96 | 104 | 112 | 120 | 128) {
        return Err(ErrorCode::Unsupported);
    }
    let tag_bytes = usize::from(gcm.tag_bits / 8);
    let aead = A::new_from_slice(key).map_err(|_| ErrorCode::InvalidKey)?;
    let nonce = GenericArray::<u8, N>::from_slice(&gcm.iv);
    let seal = |data: &mut [u8]| aead.encrypt_in_place_detached(nonce, &gcm.additional_data, data);
    if direction == Direction::Encrypt {
        let tag = seal(&mut data).map_err(|_| ErrorCode::Unsupported)?;
        data.extend_from_slice(&tag[..tag_bytes]);
        return Ok(data);
    }
    let text_bytes = data.len().checked_sub(tag_bytes).ok_or(ErrorCode::InvalidData)?;
    let tag = data.split_off(text_bytes);
    if let Ok(tag) = <[u8; 16]>::try_from(&tag[..]) {
        let opened = aead.decrypt_in_place_detached(nonce, &gcm.additional_data, &mut data, &Tag::from(tag));
        return opened.map(|()| data).map_err(|_| ErrorCode::InvalidData);
    }
    // The crate checks whole tags only. The key stream is the same both ways: what comes out is the text, and sealing
    // it again gives the whole tag.
    seal(&mut data).map_err(|_| ErrorCode::Unsupported)?;
    let mut sealed = data.clone();
    let whole = seal(&mut sealed).map_err(|_| ErrorCode::Unsupported)?;
    if bool::from(whole[..tag_bytes].ct_eq(&tag)) { Ok(data) } else { Err(ErrorCode::InvalidData) }
}

/// Counter mode, of whose counter only some bits count: the crates have those with 32, 64 and 128.
fn run_ctr(aes: &impl BlockEncrypt<BlockSize = U16>, ctr: &Ctr, mut data: Vec<u8>) -> Bytes {
    let counter: [u8; 16] = ctr.counter.as_slice().try_into().map_err(|_| ErrorCode::Unsupported)?;
    if !(1..=128).contains(&ctr.bits) {
        return Err(ErrorCode::Unsupported);
    }
    let mask = u128::MAX >> (128 - u32::from(ctr.bits));
    if data.len().div_ceil(16) as u128 > mask.saturating_add(1) {
        return Err(ErrorCode::Unsupported);
    }
    let mut counter = u128::from_be_bytes(counter);
    for chunk in data.chunks_mut(16) {
        let mut block = GenericArray::from(counter.to_be_bytes());
        aes.encrypt_block(&mut block);
        chunk.iter_mut().zip(block).for_each(|(byte, key)| *byte ^= key);
        counter = (counter & !mask) | (counter.wrapping_add(1) & mask);
    }
    Ok(data)
}
