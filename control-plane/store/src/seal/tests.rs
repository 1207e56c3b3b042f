use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn local(byte: u8) -> Arc<LocalKek> {
    Arc::new(LocalKek::new(&Zeroizing::new([byte; 32])).unwrap())
}

fn secret() -> PrivateKey {
    PrivateKey::new(Zeroizing::new(b"very secret".to_vec()))
}

const PLACE: SealPlace<'static> = SealPlace::Certificate("a.example.com");

/// As a KEK behind a network: counts how often it is asked, and can be away.
struct Remote {
    inner: Arc<LocalKek>,
    asked: AtomicUsize,
    away: std::sync::atomic::AtomicBool,
}

impl Remote {
    fn new(byte: u8) -> Arc<Self> {
        Arc::new(Self { inner: local(byte), asked: AtomicUsize::new(0), away: false.into() })
    }

    fn ask(&self) -> Result<(), SealError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return Err(SealError::KeyUnavailable("away".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl KeyEncryptionKey for Remote {
    fn id(&self) -> KekId {
        self.inner.id()
    }

    async fn wrap(&self, key: &DataKeyBytes, context: &[u8]) -> Result<Vec<u8>, SealError> {
        self.ask()?;
        self.inner.wrap(key, context).await
    }

    async fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<DataKeyBytes, SealError> {
        self.ask()?;
        self.inner.unwrap(wrapped, context).await
    }
}

#[tokio::test]
async fn what_is_sealed_opens_again_in_another_process() {
    let sealed = KeySealer::new(local(1)).seal(PLACE, &secret()).await.unwrap();
    assert!(!sealed.as_bytes().windows(6).any(|bytes| bytes == b"secret"));
    let opened = KeySealer::new(local(1)).open(PLACE, &sealed).await.unwrap();
    assert_eq!(opened.expose(), b"very secret");
}

#[tokio::test]
async fn a_sealed_key_opens_only_where_it_belongs() {
    let sealer = KeySealer::new(local(1));
    let sealed = sealer.seal(PLACE, &secret()).await.unwrap();
    for place in [
        SealPlace::Certificate("b.example.com"),
        SealPlace::Certificate("a.example.co"),
        SealPlace::Account("a.example.com"),
    ] {
        let moved = sealer.open(place, &sealed).await;
        assert!(matches!(moved, Err(SealError::DoesNotOpen)), "{place:?}");
    }
    let other = KeySealer::new(local(2)).open(PLACE, &sealed).await;
    assert!(matches!(other, Err(SealError::DoesNotOpen)));
}

#[tokio::test]
async fn no_byte_of_it_can_be_changed() {
    let sealer = KeySealer::new(local(1));
    let sealed = sealer.seal(PLACE, &secret()).await.unwrap();
    for at in 0..sealed.as_bytes().len() {
        let mut bytes = sealed.as_bytes().to_vec();
        bytes[at] ^= 1;
        // Without cached data keys, as after a start.
        let fresh = KeySealer::new(local(1));
        let opened = fresh.open(PLACE, &SealedKey::new(bytes)).await;
        assert!(matches!(opened, Err(SealError::DoesNotOpen)), "byte {at}");
    }
    for length in 0..sealed.as_bytes().len() {
        let cut = SealedKey::new(sealed.as_bytes()[..length].to_vec());
        assert!(matches!(sealer.open(PLACE, &cut).await, Err(SealError::DoesNotOpen)));
    }
}

#[tokio::test]
async fn the_same_key_never_seals_to_the_same_bytes() {
    let sealer = KeySealer::new(local(1));
    let (one, two) = (sealer.seal(PLACE, &secret()).await, sealer.seal(PLACE, &secret()).await);
    assert_ne!(one.unwrap(), two.unwrap());
}

#[tokio::test]
async fn a_remote_kek_is_asked_once_for_a_data_key() {
    let kek = Remote::new(1);
    let sealer = KeySealer::new(kek.clone());
    let mut sealed = Vec::new();
    for _ in 0..100 {
        sealed.push(sealer.seal(PLACE, &secret()).await.unwrap());
    }
    assert_eq!(kek.asked.load(Ordering::SeqCst), 1);
    let restarted = KeySealer::new(kek.clone());
    for sealed in &sealed {
        restarted.open(PLACE, sealed).await.unwrap();
    }
    assert_eq!(kek.asked.load(Ordering::SeqCst), 2);
    kek.away.store(true, Ordering::SeqCst);
    restarted.open(PLACE, &sealed[0]).await.unwrap();
    let cold = KeySealer::new(kek).open(PLACE, &sealed[0]).await;
    assert!(matches!(cold, Err(SealError::KeyUnavailable(_))));
}

#[tokio::test]
async fn a_new_kek_takes_over_without_opening_anything() {
    let sealed = KeySealer::new(local(1)).seal(PLACE, &secret()).await.unwrap();
    let sealer = KeySealer::new(local(2)).with_retired(local(1));
    assert_eq!(sealer.open(PLACE, &sealed).await.unwrap().expose(), b"very secret");
    let rewrapped = sealer.rewrap(&sealed).await.unwrap().unwrap();
    assert_eq!(sealer.rewrap(&rewrapped).await.unwrap(), None);
    let alone = KeySealer::new(local(2));
    assert_eq!(alone.open(PLACE, &rewrapped).await.unwrap().expose(), b"very secret");
    assert!(matches!(alone.rewrap(&sealed).await, Err(SealError::DoesNotOpen)));
}

#[test]
fn keys_are_read_in_either_spelling() {
    let folder = std::env::temp_dir().join(format!("sealwax-kek-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("kek");
    let source = KekSource::File(path.clone());
    assert!(matches!(
        LocalKek::read(&source, WhenMissing::Refuse),
        Err(KekError::File { error, .. }) if error.kind() == std::io::ErrorKind::NotFound
    ));
    let made = LocalKek::read(&source, WhenMissing::Create).unwrap();
    assert_eq!(LocalKek::read(&source, WhenMissing::Create).unwrap().id(), made.id());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let by_id = |text: String| {
        std::fs::write(&path, text).unwrap();
        LocalKek::read(&source, WhenMissing::Refuse).map(|kek| kek.id())
    };
    use base64::Engine as _;
    let base64 = base64::prelude::BASE64_STANDARD.encode([7; 32]);
    assert_eq!(by_id("07".repeat(32)).unwrap(), by_id(format!("{base64}\n")).unwrap());
    for wrong in ["", "07", &"zz".repeat(32), &"07".repeat(31)] {
        let error = by_id(wrong.to_owned()).unwrap_err();
        assert!(matches!(error, KekError::NotAKey(_)), "{wrong}");
        assert!(wrong.is_empty() || wrong.len() < 4 || !error.to_string().contains(wrong));
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn nothing_shows_a_key() {
    assert!(!format!("{:?}", local(7)).contains("0707"));
    assert!(!format!("{:?}", KeySealer::new(local(7))).contains("0707"));
}
